"""What failed requests mean: the table, and the words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from botstate_ext.storage.blob.errors import Failure, Meaning, RequestFailed
from botstate_ext.storage.retry import Retries

A, N, C = Meaning.ABSENT, Meaning.NO_CONTAINER, Meaning.CONFLICT
T, F, L = Meaning.TRANSIENT, Meaning.FINAL, Meaning.LEASED


class DriverError(Exception):
    """As the driver's are: some with a status and a code, some without."""

    def __init__(self, status_code: int | None = None, error_code: Any = None) -> None:
        super().__init__("AccountKey=secret https://account.blob.core.windows.net")
        self.status_code, self.error_code = status_code, error_code


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
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
def test_the_table(status: int, code: str | None, meaning: Meaning) -> None:
    as_text = Failure.of(DriverError(status, code), None)
    as_enum = Failure.of(DriverError(status, code and SimpleNamespace(value=code)), None)
    as_seen = Failure.of(DriverError(None, code), status)
    assert [failure.meaning for failure in (as_text, as_enum, as_seen)] == [meaning] * 3
    assert str(status) in as_text.reason or meaning is N
    assert "secret" not in as_text.reason
    assert "windows.net" not in as_text.reason


@pytest.mark.parametrize("status", [None, 200, 206])
def test_no_answer_or_half_of_one_is_transient_and_may_be_done(status: int | None) -> None:
    failure = Failure.of(DriverError(), status)
    assert failure.meaning is T
    assert failure.may_be_done
    assert failure.reason == "no answer (DriverError)."


def test_a_missing_credential_is_final() -> None:
    class ClientAuthenticationError(DriverError):
        pass

    failure = Failure.of(ClientAuthenticationError(), None)
    assert failure.meaning is F
    assert not failure.may_be_done


@pytest.mark.parametrize(
    ("status", "may_be_done"), [(429, False), (408, False), (403, False), (500, True), (503, True)]
)
def test_what_may_be_done(status: int, may_be_done: bool) -> None:
    assert Failure.of(DriverError(status), None).may_be_done is may_be_done


@pytest.mark.parametrize(("operation", "maybe"), [("put", True), ("delete", True), ("read", False)])
def test_only_a_write_is_maybe_written(operation: str, maybe: bool) -> None:
    failed = RequestFailed(operation, "key", T, "late", status=503, maybe_done=True)
    error = failed.error()
    assert (error.operation, error.key, error.status) == (operation, "key", 503)
    assert error.maybe_written is maybe


def test_waits_double_up_to_a_limit_and_are_jittered() -> None:
    waits = Retries(random=lambda: 1.0).waits()
    assert [next(waits) for _ in range(8)] == [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    half = Retries(random=lambda: 0.5).waits()
    assert [next(half) for _ in range(3)] == [0.125, 0.25, 0.5]
    assert next(Retries(random=lambda: 0.0).waits()) == 0
