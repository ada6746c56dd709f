"""What a failed request to Azure Blob Storage means, by status and error code. Pure.

The driver's exception classes do not say it: the same stale ``If-Match`` is a
``ResourceModifiedError`` or a ``ResourceExistsError``, and leases use both statuses too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from ..errors import StateStorageError


class Meaning(Enum):
    """What to make of a failed request."""

    ABSENT = "the blob does not exist"
    NO_CONTAINER = "the container does not exist"
    CONFLICT = "the condition does not hold"
    TRANSIENT = "the same request may succeed in a while"
    FINAL = "it fails until somebody changes something"


_ANY_CODE: Final = ""
_WRITES: Final = ("put", "delete")
_CREDENTIAL_ERRORS: Final = ("ClientAuthenticationError", "CredentialUnavailableError")

_MEANINGS: Final[Mapping[tuple[int, str], Meaning]] = {
    (404, "BlobNotFound"): Meaning.ABSENT,
    (404, "ContainerNotFound"): Meaning.NO_CONTAINER,
    (409, "BlobAlreadyExists"): Meaning.CONFLICT,
    (409, "ContainerAlreadyExists"): Meaning.CONFLICT,
    (412, "BlobAlreadyExists"): Meaning.CONFLICT,
    (412, "ConditionNotMet"): Meaning.CONFLICT,
    (412, "TargetConditionNotMet"): Meaning.CONFLICT,
    (408, _ANY_CODE): Meaning.TRANSIENT,
    (429, _ANY_CODE): Meaning.TRANSIENT,
    (500, _ANY_CODE): Meaning.TRANSIENT,
    (502, _ANY_CODE): Meaning.TRANSIENT,
    (503, _ANY_CODE): Meaning.TRANSIENT,
    (504, _ANY_CODE): Meaning.TRANSIENT,
}
"""Anything else is FINAL: other 409s and 412s (a lease, a container that is being deleted) are no
conflicts, and a 404 that does not say BlobNotFound may come from something that is not storage."""

_ADVICE: Final[Mapping[int, str]] = {
    401: "Check the account key, the SAS or the credential.",
    403: "Check the key or the SAS; an identity needs the role Storage Blob Data Contributor.",
    409: "Somebody else is using the blob or the container in a way that excludes this.",
    412: "If the blob is leased, release it.",
}


class RequestFailed(Exception):
    """A request that failed for good, and what its failure means.

    ``maybe_done`` is True when this attempt, or one before it, may have been carried out.
    """

    def __init__(
        self,
        operation: str,
        key: str | None,
        meaning: Meaning,
        reason: str,
        *,
        status: int | None = None,
        maybe_done: bool = False,
    ) -> None:
        super().__init__(reason)
        self.operation, self.key, self.meaning, self.reason = operation, key, meaning, reason
        self.status, self.maybe_done = status, maybe_done

    def error(self) -> StateStorageError:
        """The error for those who cannot make more of it. The driver's is this one's cause."""
        return StateStorageError(
            self.operation,
            self.key,
            self.reason,
            status=self.status,
            maybe_written=self.maybe_done and self.operation in _WRITES,
        )


def status_of(error: BaseException) -> int | None:
    """The HTTP status of a driver's error, or None if there was no answer, or only half of one."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def meaning_of(error: BaseException) -> Meaning:
    """What a driver's error means. No answer at all is transient."""
    status = status_of(error)
    if status is None:
        # A credential that cannot be had gives no answer either, and will not by itself.
        is_credential = type(error).__name__ in _CREDENTIAL_ERRORS
        return Meaning.FINAL if is_credential else Meaning.TRANSIENT
    by_code = _MEANINGS.get((status, _code_of(error)))
    return by_code or _MEANINGS.get((status, _ANY_CODE), Meaning.FINAL)


def may_be_done(error: BaseException) -> bool:
    """True when the request may have been carried out although it failed."""
    status = status_of(error)
    return status is None or (status >= 500 and meaning_of(error) is Meaning.TRANSIENT)


def reason_of(error: BaseException) -> str:
    """The failure in words. Not the driver's own: its text may hold addresses."""
    status = status_of(error)
    if status is None:
        return f"no answer ({type(error).__name__})."
    if meaning_of(error) is Meaning.NO_CONTAINER:
        return "the container does not exist. Create it, or pass create_container=True."
    advice = "" if meaning_of(error) is Meaning.TRANSIENT else f" {_ADVICE.get(status, '')}"
    return f"it answered {status} {_code_of(error)}".rstrip() + f".{advice}".rstrip()


def _code_of(error: BaseException) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or _ANY_CODE)
