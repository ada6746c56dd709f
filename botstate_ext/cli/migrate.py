"""``python -m botstate_ext migrate``."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import datetime, timezone

import click

from ..maintenance.migration import MigrationReport
from ..states.state_scopes import StateScopes
from .progress import progress
from .target import as_json_option, on_states


@click.command()
@click.option("--dry-run", is_flag=True, help="Only report what would be rewritten.")
@click.option("--parallel", type=click.IntRange(min=1), default=8, help="Documents at a time.")
@click.option("--resume", metavar="TOKEN", help="What an interrupted migration printed.")
@click.option(
    "--jsonpickle-1-before",
    type=click.DateTime(),
    help="When botbuilder-core 4.17.1 was installed (UTC), if that is known.",
)
@as_json_option("Print the report as JSON.")
@on_states
async def migrate(
    states: StateScopes,
    dry_run: bool,
    parallel: int,
    resume: str | None,
    jsonpickle_1_before: datetime | None,
    as_json: bool,
) -> int:
    """Rewrite all stored state as plain JSON, if that loses nothing.

    Typed properties are known with --app only. You can run it again at any time: finished documents
    stay as they are. A document that cannot be read is reported and left as it was.
    """
    if jsonpickle_1_before is not None:
        jsonpickle_1_before = jsonpickle_1_before.replace(tzinfo=timezone.utc)
    latest = MigrationReport(resume=resume)
    with progress() as show:

        def note(report: MigrationReport) -> None:
            nonlocal latest
            latest = report
            show(f"seen {report.seen:,}, rewritten {report.rewritten:,}, failed {report.failed:,}")

        try:
            report = await states.migrate(
                dry_run,
                parallel=parallel,
                resume=resume,
                jsonpickle_1_before=jsonpickle_1_before,
                on_progress=note,
            )
        except asyncio.CancelledError:
            again = "" if latest.resume is None else f" --resume {latest.resume}"
            click.echo(f"Interrupted. To go on: migrate{again}", err=True)
            raise
    click.echo(json.dumps(asdict(report)) if as_json else _in_words(report, dry_run=dry_run))
    return 1 if report.failed else 0


def _in_words(report: MigrationReport, *, dry_run: bool) -> str:
    rewritten = "To be rewritten" if dry_run else "Rewritten"
    lines = [
        f"Items seen: {report.seen:,}, in {report.seconds:.1f} s",
        f"{rewritten}: {report.rewritten:,}",
        f"As they should be: {report.unchanged:,}",
    ]
    if report.others:
        lines.append(f"Not state of a scope, left alone: {report.others:,}")
    if dry_run:
        lines.append("This was a dry run: nothing was changed.")
    if report.failed:
        lines.append(f"Left as they were, because of a problem: {report.failed:,}")
        lines += [f"  {problem.key}: {problem.reason}" for problem in report.problems]
    return "\n".join(lines)
