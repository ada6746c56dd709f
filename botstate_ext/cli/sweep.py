"""``python -m botstate_ext sweep``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..maintenance.sweep import SweepReport
from ..states.state_scopes import StateScopes
from .progress import progress
from .target import as_json_option, on_states


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what has expired.")
@click.option("--parallel", type=click.IntRange(min=1), default=8, help="Documents at a time.")
@click.option(
    "--per-second",
    type=click.FloatRange(min=0, min_open=True),
    default=500,
    help="Documents begun in a second.",
)
@as_json_option("Print the report as JSON.")
@on_states
async def sweep(
    states: StateScopes, dry_run: bool, parallel: int, per_second: float, as_json: bool
) -> int:
    """Delete expired properties and call the app's handlers for them.

    Without --app, properties with a handler are left for the app, and counted as skipped.
    """
    with progress() as show:
        report = await states.sweep(
            dry_run,
            parallel=parallel,
            per_second=per_second,
            on_progress=lambda report: show(_briefly(report)),
        )
    click.echo(json.dumps(asdict(report)) if as_json else _in_words(report, dry_run=dry_run))
    return 1 if report.failed else 0


def _briefly(report: SweepReport) -> str:
    return (
        f"seen {report.seen:,}, expired {report.expired:,}, "
        f"removed {report.removed:,}, failed {report.failed:,}"
    )


def _in_words(report: SweepReport, *, dry_run: bool) -> str:
    lines = [
        f"Documents seen: {report.seen:,}, in {report.seconds:.1f} s",
        f"Properties expired: {report.expired:,}",
    ]
    if dry_run:
        lines.append("This was a dry run: nothing was removed.")
    else:
        lines.append(f"Removed: {report.removed:,}, of them by handlers: {report.handlers_run:,}")
    if report.skipped:
        lines.append(f"Left for the app, which has handlers: {report.skipped:,}. Use --app.")
    if report.failed:
        lines.append(f"Failed, to be tried again by a later sweep: {report.failed:,}")
    return "\n".join(lines)
