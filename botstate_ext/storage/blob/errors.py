"""FailureKind: what a failed request to Azure Blob Storage means, by status and error code. Pure.

The driver's exception classes do not tell: the same stale ``If-Match`` is a
``ResourceModifiedError`` or a ``ResourceExistsError``, and leases use both statuses too.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from ...errors import StateStorageError


class FailureKind(Enum):
    """Lists the meanings of a failed request."""

    ABSENT = "the blob does not exist"
    NO_CONTAINER = "the container does not exist"
    CONFLICT = "the condition does not hold"
    LEASED = "another holds the lease, or nobody does any more"
    TRANSIENT = "the same request may succeed a little later"
    FINAL = "it fails until somebody changes something"


_ANY_CODE: Final = ""
_WRITES: Final = ("put", "delete")

_KINDS: Final[Mapping[tuple[int, str], FailureKind]] = {
    (404, "BlobNotFound"): FailureKind.ABSENT,
    (404, "ContainerNotFound"): FailureKind.NO_CONTAINER,
    (409, "BlobAlreadyExists"): FailureKind.CONFLICT,
    (409, "ContainerAlreadyExists"): FailureKind.CONFLICT,
    (412, "BlobAlreadyExists"): FailureKind.CONFLICT,
    (412, "ConditionNotMet"): FailureKind.CONFLICT,
    (412, "TargetConditionNotMet"): FailureKind.CONFLICT,
    (409, "LeaseAlreadyPresent"): FailureKind.LEASED,
    (409, "LeaseIdMismatchWithLeaseOperation"): FailureKind.LEASED,
    (409, "LeaseIsBreakingAndCannotBeAcquired"): FailureKind.LEASED,
    (409, "LeaseIsBrokenAndCannotBeRenewed"): FailureKind.LEASED,
    (409, "LeaseNotPresentWithLeaseOperation"): FailureKind.LEASED,
    (408, _ANY_CODE): FailureKind.TRANSIENT,
    (429, _ANY_CODE): FailureKind.TRANSIENT,
    (500, _ANY_CODE): FailureKind.TRANSIENT,
    (502, _ANY_CODE): FailureKind.TRANSIENT,
    (503, _ANY_CODE): FailureKind.TRANSIENT,
    (504, _ANY_CODE): FailureKind.TRANSIENT,
}
"""All others are FINAL: other 409s and 412s (a write to a leased blob, a container that is being
deleted) are no conflicts, and a 404 without BlobNotFound may come from something that is not
storage."""

_ADVICE: Final[Mapping[int, str]] = {
    400: "Check the container_name, and the account's address.",
    401: "Check the account key, the SAS or the credential.",
    403: (
        "Check the account key or the SAS; an identity needs the role Storage Blob Data "
        "Contributor."
    ),
    404: "Check the account's address: this is no answer of Azure Blob Storage.",
    409: "Another program uses the blob or the container in a way that excludes this.",
    412: "If the blob is leased, release it.",
}

_CREDENTIAL_ERRORS: Final = frozenset(
    {"ClientAuthenticationError", "CredentialUnavailableError", "AzureSigningError"}
)
# By name: the driver is imported when a BlobStorage is made, and this module before that.
_NETWORK_ERRORS: Final = frozenset(
    # asyncio's TimeoutError is no OSError before Python 3.11.
    {"ServiceRequestError", "ServiceResponseError", "ClientError", "TimeoutError"}
)
_BAD_ADDRESSES: Final = frozenset({"InvalidURL", "InvalidUrlClientError"})
_NO_SUCH_HOST: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)})


class RequestFailed(Exception):
    """A request that failed for good, with the kind of its failure.

    ``maybe_done`` is True if this attempt, or an earlier one, may have been carried out.
    """

    def __init__(
        self,
        operation: str,
        key: str | None,
        kind: FailureKind,
        reason: str,
        *,
        status: int | None = None,
        maybe_done: bool = False,
    ) -> None:
        super().__init__(reason)
        self.operation, self.key, self.kind, self.reason = operation, key, kind, reason
        self.status, self.maybe_done = status, maybe_done

    def error(self) -> StateStorageError:
        """Return the public error of this failure. Its cause is to be the driver's error."""
        return StateStorageError(
            self.operation,
            self.key,
            self.reason,
            status=self.status,
            maybe_written=self.maybe_done and self.operation in _WRITES,
        )


class InvalidAnswer(Exception):
    """A successful answer that Azure Blob Storage does not give: a proxy's page, half a body."""


@dataclass(frozen=True)
class Answer:
    """Status and headers of a response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def is_azures(self) -> bool:
        """Return True if it has a header that Azure Storage always sends, and others do not."""
        return "x-ms-request-id" in self.headers or "x-ms-version" in self.headers

    @property
    def retry_after(self) -> float:
        """Seconds that the server asks to wait before the next attempt; 0 if it does not ask."""
        text = self.headers.get("retry-after", "")
        if text.isascii() and text.isdecimal():
            return float(text)
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        now = datetime.now(timezone.utc)
        return max(0.0, (until.replace(tzinfo=until.tzinfo or timezone.utc) - now).total_seconds())


@dataclass(frozen=True)
class Failure:
    """One failed attempt: the error, and the answer if there was one."""

    error: BaseException
    answer: Answer | None = None

    @property
    def status(self) -> int | None:
        """The status of a refusal (400 and above); None without an answer, or with another."""
        status = getattr(self.error, "status_code", None)
        if status is None and self.answer is not None:
            status = self.answer.status
        return status if isinstance(status, int) and status >= 400 else None

    @property
    def code(self) -> str:
        """Azure's error code, or an empty text."""
        code = getattr(self.error, "error_code", None)
        return str(getattr(code, "value", code) or _ANY_CODE)

    @property
    def is_network(self) -> bool:
        """Return True if the connection failed, broke off or timed out."""
        return any(
            isinstance(error, OSError) or not _NETWORK_ERRORS.isdisjoint(_names(error))
            for error in _chain(self.error)
        )

    @property
    def is_known(self) -> bool:
        """Return True if the request failed, and not the code that made it."""
        is_drivers = any("AzureError" in _names(error) for error in _chain(self.error))
        return self.answer is not None or self.is_network or is_drivers

    @property
    def kind(self) -> FailureKind:
        """Transient are the network's failures, 408, 429 and 5xx; nothing else."""
        status = self.status
        if status is not None:
            by_code = _KINDS.get((status, self.code))
            return by_code or _KINDS.get((status, _ANY_CODE), FailureKind.FINAL)
        if self._setting() or not self.is_network:
            return FailureKind.FINAL
        return FailureKind.TRANSIENT

    @property
    def may_be_done(self) -> bool:
        """Return True if the request, once sent, may have been carried out although it failed."""
        if self.status is None:
            return self.answer is not None or self.kind is FailureKind.TRANSIENT
        return self.status >= 500 and self.kind is FailureKind.TRANSIENT

    @property
    def reason(self) -> str:
        """Name the failure and its mend. The driver's text is left out: it may hold addresses."""
        if self.status is not None:
            return self._refusal(self.status)
        setting = self._setting()
        name = type(self.error).__name__
        if setting:
            return f"{setting} ({name})."
        if self.is_network:
            return f"no answer ({name})."
        if self.answer is not None:
            what = str(self.error) if isinstance(self.error, InvalidAnswer) else name
            return (
                f"it answered {self.answer.status} with something that Azure Blob Storage does not "
                f"send ({what}). Check the account's address, and for a proxy in between."
            )
        return f"the request cannot be sent ({name}). Check the settings of the BlobStorage."

    def _refusal(self, status: int) -> str:
        if self.kind is FailureKind.NO_CONTAINER:
            return "the container does not exist. Create it, or pass create_container=True."
        advice = "" if self.kind is FailureKind.TRANSIENT else _ADVICE.get(status, "")
        return f"it answered {status} {self.code}".rstrip() + f". {advice}".rstrip()

    def _setting(self) -> str:
        """Name the setting that must be wrong, or return an empty text."""
        for error in _chain(self.error):
            names = _names(error)
            if not _CREDENTIAL_ERRORS.isdisjoint(names):
                return "there is no valid credential: check the account key or the credential"
            if not _BAD_ADDRESSES.isdisjoint(names):
                return "the account's address is no URL: check account_url or the connection string"
            if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_HOST:
                return "the account's host does not exist: check the account's name and address"
            if isinstance(error, ssl.SSLCertVerificationError):
                return "the server's certificate is not trusted: check the account's address"
        return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that led to it."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        os_error = getattr(following, "os_error", None)  # aiohttp keeps the system's error there
        if isinstance(os_error, BaseException) and id(os_error) not in seen:
            seen.add(id(os_error))
            yield os_error
        following = following.__cause__ or following.__context__


def _names(error: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(error).__mro__}
