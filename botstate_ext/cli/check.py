"""``python -m botstate_ext check``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..maintenance.storage_check import StorageCheck
from ..states.state_scopes import StateScopes
from .progress import progress
from .target import as_json_option, on_states


@click.command()
@click.option("--parallel", type=click.IntRange(min=1), default=16, help="Documents at a time.")
@as_json_option("Print the result as JSON.")
@on_states
async def check(states: StateScopes, parallel: int, as_json: bool) -> int:
    """List the stored classes, and the values that the app could not read. Changes nothing.

    Run it with --app before you deploy the app on a storage that another version or the SDK alone
    has written. The exit code is 1 if a value could not be read.
    """
    with progress() as show:
        result = await states.check_storage(
            parallel=parallel,
            on_progress=lambda seen: show(f"looked at {seen:,} items"),
        )
    click.echo(json.dumps(_as_json(result)) if as_json else _in_words(result))
    return 0 if result.is_readable else 1


def _as_json(result: StorageCheck) -> dict[str, object]:
    return {
        "seen": result.seen,
        "others": result.others,
        "classes": [asdict(each) for each in result.classes],
        "unread": [asdict(each) for each in result.unread],
        "missing_types": list(result.missing_types),
        "seconds": result.seconds,
    }


def _in_words(result: StorageCheck) -> str:
    lines = [f"Items seen: {result.seen:,}, in {result.seconds:.1f} s"]
    if result.others:
        lines.append(f"Not state of a scope: {result.others:,}")
    if result.classes:
        lines.append("Stored classes:")
        lines += [
            f"  {each.count:>8,}  {'read    ' if each.is_read else 'NOT READ'}  {each.name}"
            for each in result.classes
        ]
    if result.is_readable:
        lines.append("The app reads everything.")
        return "\n".join(lines)
    lines.append(f"The app would not read: {len(result.unread):,}")
    lines += [f"  {each.key}: {each.reason}" for each in result.unread]
    if result.missing_types:
        lines += ["If these classes are the app's, give them to StateScopes:", ""]
        lines.append(result.lines_to_paste())
    return "\n".join(lines)
