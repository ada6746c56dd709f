"""Programs that end with the process that started them, also when that is killed.

``attended.py PROGRAM ARGUMENTS`` runs a program until standard input ends. ``attended.py --pid-file
FILE`` then ends the process that the file names, if there is such a file: for a server that leaves
its parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def start(*command: str) -> subprocess.Popen[str]:
    """Start a program, with its output in a pipe. End it with `end`."""
    # Ctrl-C reaches the tests only: they end what they started, after they are done with it.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    """Kill the program of `start`. Return when it is gone."""
    # This closes the pipe, as the end of this process would.
    process.communicate()


def _attend(command: list[str]) -> None:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    os.close(sys.stdout.fileno())  # so that the reader sees if the program ends by itself
    sys.stdin.read()
    child.kill()
    child.wait()


def _attend_pid_file(file: Path) -> None:
    sys.stdin.read()
    if file.exists():
        os.kill(int(file.read_text().split()[0]), signal.SIGQUIT)


if __name__ == "__main__":
    if sys.argv[1] == "--pid-file":
        _attend_pid_file(Path(sys.argv[2]))
    else:
        _attend(sys.argv[1:])
