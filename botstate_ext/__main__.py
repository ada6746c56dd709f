"""``python -m botstate_ext``: commands for those who run a bot."""

from __future__ import annotations

import sys

try:
    from .cli import main
except ModuleNotFoundError as error:
    if error.name not in ("click", "rich"):
        raise
    sys.exit('The commands need click and rich: pip install "botstate-ext[cli]"')

if __name__ == "__main__":
    main(prog_name="python -m botstate_ext")
