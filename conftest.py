"""What holds for every run of the tests."""

from __future__ import annotations

import signal
from collections.abc import Generator
from importlib import metadata

import pytest

# They pin the driver, so they are not installed where the tests run on the newest one.
HOLD_THE_DRIVER_BACK = ("botbuilder.azure", "botbuilder.testing")

# The mark of tests that need a server, with their fixture, and parameters that name it.
ON_SERVERS = {
    "blob": (("azurite_endpoint",), ("blob", "upstream blob")),
    "servers": (
        ("postgres_url", "redis_url", "cosmos_endpoint"),
        ("postgres", "redis", "cosmos"),
    ),
}


def pytest_report_header() -> str:
    """The driver that the Blob tests run on."""
    try:
        return f"azure-storage-blob: {metadata.version('azure-storage-blob')}"
    except metadata.PackageNotFoundError:
        return "azure-storage-blob: not installed"


def pytest_configure() -> None:
    """Every way to end a run ends it as Ctrl-C does: fixtures stop what they started."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # not all systems have both
            signal.signal(getattr(signal, name), signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use Azurite, which run on several versions of the driver, and those on
    other servers."""
    for item in items:
        for mark, (fixtures, kinds) in ON_SERVERS.items():
            if _uses(item, fixtures, kinds):
                item.add_marker(mark)


def _uses(item: pytest.Item, fixtures: tuple[str, ...], kinds: tuple[str, ...]) -> bool:
    """Return True if the test asks for a fixture, or its parameter names a storage of a kind."""
    call = getattr(item, "callspec", None)
    parameters = call.params.values() if call is not None else ()
    asked = getattr(item, "fixturenames", ())
    return any(name in asked for name in fixtures) or any(
        isinstance(value, str) and value in kinds for value in parameters
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    yield from _skipped_without_its_import()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    yield from _skipped_without_its_import()


def _skipped_without_its_import() -> Generator[None, None, None]:
    """That they import where they are installed is a test of the packaging."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name in HOLD_THE_DRIVER_BACK:
            pytest.skip(f"{missing.name} is not installed")
        raise
