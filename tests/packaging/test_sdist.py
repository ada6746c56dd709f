"""What is in the source archive."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from .conftest import REPOSITORY


def test_it_holds_each_page_that_the_repository_has(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
    assert {str(page.relative_to(REPOSITORY)) for page in pages} <= names
