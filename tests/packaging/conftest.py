"""The wheel as users get it, and an interpreter that has nothing but what the wheel asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CORE_PYTHON = REPOSITORY / ".venv-core" / "bin" / "python"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, away from the source."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


class CorePython:
    """Runs code against the unpacked wheel, with its runtime dependencies and no extras."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(CORE_PYTHON), "-c", code],
            cwd=self._path,
            env={**os.environ, "PYTHONPATH": str(self._path)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def core_python(unpacked: Path) -> CorePython:
    if not CORE_PYTHON.exists():
        missing = "make .venv-core/.installed makes the environment without extras"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return CorePython(unpacked)
