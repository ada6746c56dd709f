"""What a failed request to Azure Blob Storage means, by status and error code. Pure.

The driver's exception classes do not say it: the same stale ``If-Match`` is a
``ResourceModifiedError`` or a ``ResourceExistsError``, and leases use both statuses too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ...errors import StateStorageError


class Meaning(Enum):
    """What to make of a failed request."""

    ABSENT = "the blob does not exist"
    NO_CONTAINER = "the container does not exist"
    CONFLICT = "the condition does not hold"
    LEASED = "the lease is another's, or nobody's any more"
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
    (409, "LeaseAlreadyPresent"): Meaning.LEASED,
    (409, "LeaseIdMismatchWithLeaseOperation"): Meaning.LEASED,
    (409, "LeaseIsBreakingAndCannotBeAcquired"): Meaning.LEASED,
    (409, "LeaseIsBrokenAndCannotBeRenewed"): Meaning.LEASED,
    (409, "LeaseNotPresentWithLeaseOperation"): Meaning.LEASED,
    (408, _ANY_CODE): Meaning.TRANSIENT,
    (429, _ANY_CODE): Meaning.TRANSIENT,
    (500, _ANY_CODE): Meaning.TRANSIENT,
    (502, _ANY_CODE): Meaning.TRANSIENT,
    (503, _ANY_CODE): Meaning.TRANSIENT,
    (504, _ANY_CODE): Meaning.TRANSIENT,
}
"""Anything else is FINAL: other 409s and 412s (a write to a leased blob, a container that is being
deleted) are no conflicts, and a 404 that does not say BlobNotFound may come from something that is
not storage."""

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


@dataclass(frozen=True)
class Failure:
    """What came back of one attempt. ``status`` is None if that was no answer, or half of one."""

    status: int | None
    code: str
    error_name: str

    @classmethod
    def of(cls, error: BaseException, status: int | None) -> Failure:
        """From a driver's error, and the status that was seen: not every error carries it."""
        status = getattr(error, "status_code", None) or status
        code = getattr(error, "error_code", None)
        return cls(
            status if status is not None and status >= 400 else None,
            str(getattr(code, "value", code) or _ANY_CODE),
            type(error).__name__,
        )

    @property
    def meaning(self) -> Meaning:
        """No answer at all is transient, unless it is for want of a credential."""
        if self.status is None:
            is_credential = self.error_name in _CREDENTIAL_ERRORS
            return Meaning.FINAL if is_credential else Meaning.TRANSIENT
        by_code = _MEANINGS.get((self.status, self.code))
        return by_code or _MEANINGS.get((self.status, _ANY_CODE), Meaning.FINAL)

    @property
    def may_be_done(self) -> bool:
        """True when the request may have been carried out although it failed."""
        is_servers = self.status is None or self.status >= 500
        return is_servers and self.meaning is Meaning.TRANSIENT

    @property
    def reason(self) -> str:
        """In words. Not the driver's own: its text may hold addresses."""
        if self.status is None:
            return f"no answer ({self.error_name})."
        if self.meaning is Meaning.NO_CONTAINER:
            return "the container does not exist. Create it, or pass create_container=True."
        advice = "" if self.meaning is Meaning.TRANSIENT else _ADVICE.get(self.status, "")
        answer = f"it answered {self.status} {self.code}".rstrip()
        return f"{answer}. {advice}".rstrip()
