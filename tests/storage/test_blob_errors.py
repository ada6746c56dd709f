"""What failed requests mean: the table, and the words."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from botstate_ext.storage.blob.errors import (
    Answer,
    Failure,
    FailureKind,
    InvalidAnswer,
    RequestFailed,
)
from botstate_ext.storage.retry import Retries

A, N, C = FailureKind.ABSENT, FailureKind.NO_CONTAINER, FailureKind.CONFLICT
T, F, L = FailureKind.TRANSIENT, FailureKind.FINAL, FailureKind.LEASED


class DriverError(Exception):
    """As the driver's are: some with a status and a code, some without."""

    def __init__(self, status_code: int | None = None, error_code: Any = None) -> None:
        super().__init__("AccountKey=secret https://account.blob.core.windows.net")
        self.status_code, self.error_code = status_code, error_code


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "BlobNotFound", A),
        (404, "ContainerNotFound", N),
        (404, "ResourceNotFound", F),
        (404, None, F),
        (409, "BlobAlreadyExists", C),
        (412, "BlobAlreadyExists", C),  # the driver's word for a stale If-Match without overwrite
        (412, "ConditionNotMet", C),
        (409, "ContainerAlreadyExists", C),
        (409, "ContainerBeingDeleted", F),
        (409, "LeaseAlreadyPresent", L),
        (409, "LeaseIdMismatchWithLeaseOperation", L),
        (409, "LeaseIsBreakingAndCannotBeAcquired", L),
        (409, "LeaseIsBrokenAndCannotBeRenewed", L),
        (409, "LeaseNotPresentWithLeaseOperation", L),
        (409, "SnapshotsPresent", F),
        (409, None, F),
        (412, "LeaseIdMissing", F),
        (412, "LeaseIdMismatchWithBlobOperation", F),
        (412, None, F),
        (400, "InvalidHeaderValue", F),
        (401, "InvalidAuthenticationInfo", F),
        (403, "AuthorizationPermissionMismatch", F),
        (416, "InvalidRange", F),
        (408, None, T),
        (429, "TooManyRequests", T),
        (500, "InternalError", T),
        (500, "OperationTimedOut", T),
        (502, None, T),
        (503, "ServerBusy", T),
        (504, None, T),
        (501, None, F),
    ],
)
def test_the_table(status: int, code: str | None, kind: FailureKind) -> None:
    as_text = Failure(DriverError(status, code))
    as_enum = Failure(DriverError(status, code and SimpleNamespace(value=code)))
    as_seen = Failure(DriverError(None, code), Answer(status, {}))
    assert [failure.kind for failure in (as_text, as_enum, as_seen)] == [kind] * 3
    assert str(status) in as_text.reason or kind is N
    assert "secret" not in as_text.reason
    assert "windows.net" not in as_text.reason


class ServiceResponseError(DriverError):
    """As azure-core's."""


def because_of(cause: BaseException, error: BaseException | None = None) -> BaseException:
    error = error or ServiceResponseError()
    error.__cause__ = cause
    return error


NETWORK = [
    ServiceResponseError(),
    asyncio.TimeoutError(),
    ConnectionResetError("AccountKey=secret"),
    because_of(OSError("127.0.0.1")),
    because_of(socket.gaierror(socket.EAI_AGAIN, "try again")),
]


@pytest.mark.parametrize("error", NETWORK, ids=lambda e: type(e.__cause__ or e).__name__)
@pytest.mark.parametrize("answer", [None, Answer(200, {}), Answer(206, {})])
def test_no_answer_or_half_of_one_is_transient_and_may_be_done(
    error: BaseException, answer: Answer | None
) -> None:
    failure = Failure(error, answer)
    assert failure.kind is T
    assert failure.may_be_done
    assert failure.reason == f"no answer ({type(error).__name__})."


class ClientAuthenticationError(DriverError):
    """As azure-core's, which the driver raises for a key that it cannot sign with."""


class InvalidURL(ValueError):
    """As aiohttp's."""


@pytest.mark.parametrize(
    ("error", "setting"),
    [
        (ClientAuthenticationError(), "account key"),
        (because_of(ClientAuthenticationError(), AttributeError("reason")), "account key"),
        (because_of(InvalidURL("https://:0")), "account_url"),
        (because_of(socket.gaierror(socket.EAI_NONAME, "unknown")), "account's name"),
        (because_of(ssl.SSLCertVerificationError("self-signed")), "address"),
    ],
)
def test_a_setting_that_is_wrong_is_final_and_named(error: BaseException, setting: str) -> None:
    failure = Failure(error)
    assert failure.kind is F
    assert not failure.may_be_done
    assert setting in failure.reason
    assert "secret" not in failure.reason


def test_what_aiohttp_keeps_of_the_systems_error_is_seen() -> None:
    error = ServiceResponseError()
    error.os_error = socket.gaierror(socket.EAI_NONAME, "unknown")  # type: ignore[attr-defined]
    assert Failure(error).kind is F


@pytest.mark.parametrize("error", [InvalidAnswer("no ETag"), TypeError("x"), DriverError(200)])
def test_a_success_that_cannot_be_read_is_final_and_may_be_done(error: BaseException) -> None:
    failure = Failure(error, Answer(200, {}))
    assert failure.is_known
    assert failure.kind is F
    assert failure.may_be_done
    assert "does not send" in failure.reason


def test_an_error_that_no_request_made_is_not_sorted() -> None:
    assert not Failure(TypeError("a fault in this package")).is_known


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("0", 0.0), ("", 0.0), ("soon", 0.0), ("-1", 0.0)]
)
def test_the_time_to_wait_is_read_in_seconds(text: str, seconds: float) -> None:
    assert Answer(503, {"retry-after": text}).retry_after == seconds


def test_the_time_to_wait_may_be_a_date() -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    text = format_datetime(later, usegmt=True)
    assert 3_000 < Answer(503, {"retry-after": text}).retry_after <= 3_600


@pytest.mark.parametrize(
    ("status", "may_be_done"), [(429, False), (408, False), (403, False), (500, True), (503, True)]
)
def test_what_may_be_done(status: int, may_be_done: bool) -> None:
    assert Failure(DriverError(status)).may_be_done is may_be_done


@pytest.mark.parametrize(("operation", "maybe"), [("put", True), ("delete", True), ("read", False)])
def test_only_a_write_is_maybe_written(operation: str, maybe: bool) -> None:
    failed = RequestFailed(operation, "key", T, "late", status=503, maybe_done=True)
    error = failed.error()
    assert (error.operation, error.key, error.status) == (operation, "key", 503)
    assert error.maybe_written is maybe


def test_pauses_double_up_to_a_limit_and_are_jittered() -> None:
    pauses = Retries(random=lambda: 1.0).pauses()
    assert [next(pauses) for _ in range(8)] == [0.25, 0.5, 1, 2, 2, 2, 2, 2]
    half = Retries(random=lambda: 0.5).pauses()
    assert [next(half) for _ in range(3)] == [0.125, 0.25, 0.5]
    assert next(Retries(random=lambda: 0.0).pauses()) == 0
