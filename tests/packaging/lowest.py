"""`make lowest`: print the lower bound of each dependency, as constraints for pip."""

from __future__ import annotations

import re
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
BOUND = re.compile(
    r'"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?:>=(?P<least>[0-9.]+)|==(?P<minor>[0-9.]+)\.\*)'
)
# What builds and checks the package, and does not run with it.
TOOLS = {"hatchling", "hatch-fancy-pypi-readme", "mypy", "ruff", "pytest-cov"}


def lower_bounds(text: str) -> dict[str, str]:
    """Return the constraint of each dependency that has a lower bound, by its name."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = {}
    for match in (each for line in lines for each in BOUND.finditer(line)):
        name, least, minor = match["name"], match["least"], match["minor"]
        if name not in TOOLS:
            found[name] = f"{name}=={least}" if least else f"{name}=={minor}.*"
    return found


if __name__ == "__main__":
    print(*sorted(lower_bounds(PYPROJECT.read_text()).values()), sep="\n")  # noqa: T201
