"""``python -m botstate_ext copy``."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace

import click

from ..errors import StateError
from ..maintenance.storage_copy import CopyOptions, CopyReport, StorageCopy
from ..storage import MemoryStorage, StateStorage
from .progress import progress
from .storage_url import HELP, MissingFileError, open_storage
from .target import as_json_option


@click.command()
@click.option("--from", "source", required=True, metavar="URL", help=f"The storage: {HELP}.")
@click.option("--to", "target", required=True, metavar="URL", help="Where to, likewise.")
@click.option("--dry-run", is_flag=True, help="Only count what would be copied.")
@click.option("--overwrite", is_flag=True, help="Replace what the target has otherwise.")
@click.option("--parallel", type=click.IntRange(min=1), default=16, help="Items at a time.")
@click.option("--resume", metavar="TOKEN", help="What an interrupted copy printed.")
@as_json_option("Print the report as JSON.")
def copy(
    source: str,
    target: str,
    dry_run: bool,
    overwrite: bool,
    parallel: int,
    resume: str | None,
    as_json: bool,
) -> None:
    """Copy all stored state to another storage, with its tags and expiry times.

    The source is only read. You can run it again at any time: what the target has already stays as
    it is. What the target has otherwise is reported and left, or replaced with --overwrite. Stop
    the bot before the last run, so that nothing is written to the source after it was copied.
    """
    if source == target:
        raise click.UsageError("--from and --to are the same storage.")
    options = CopyOptions(dry_run, overwrite, parallel, resume)
    try:
        report = asyncio.run(_run(source, target, options))
    except StateError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:  # the token is none of the source's
        raise click.UsageError(str(error)) from None
    click.echo(json.dumps(asdict(report)) if as_json else _in_words(report, dry_run=dry_run))
    sys.exit(1 if report.failed else 0)


async def _run(source: str, target: str, options: CopyOptions) -> CopyReport:
    async with (
        open_storage(source, must_exist=True) as copied,
        _open_target(target, dry_run=options.dry_run) as to,
    ):
        return await _copied(copied, to, options)


def _open_target(url: str, *, dry_run: bool) -> StateStorage:
    try:
        return open_storage(url, must_exist=dry_run)
    except MissingFileError:
        return MemoryStorage()  # as empty as the file will be, which a dry run does not make


async def _copied(source: StateStorage, target: StateStorage, options: CopyOptions) -> CopyReport:
    latest = CopyReport(resume=options.resume)
    with progress() as show:

        def note(report: CopyReport) -> None:
            nonlocal latest
            latest = report
            show(
                f"seen {report.seen:,}, copied {report.copied:,}, "
                f"there already {report.unchanged:,}, failed {report.failed:,}"
            )

        try:
            return await StorageCopy(source, target, replace(options, on_progress=note)).run()
        except asyncio.CancelledError:
            again = "" if latest.resume is None else f" --resume {latest.resume}"
            click.echo(f"Interrupted. To go on: copy --from ... --to ...{again}", err=True)
            raise


def _in_words(report: CopyReport, *, dry_run: bool) -> str:
    copied = "To be copied" if dry_run else "Copied"
    lines = [
        f"Items seen: {report.seen:,}, in {report.seconds:.1f} s",
        f"{copied}: {report.copied:,} ({report.bytes:,} bytes)",
        f"There already: {report.unchanged:,}",
    ]
    if report.gone:
        lines.append(f"Deleted meanwhile: {report.gone:,}")
    if report.seen == 0:
        lines.append("The source is empty: does its URL name the right one?")
    if dry_run:
        lines.append("This was a dry run: nothing was changed.")
    if report.failed:
        lines.append(f"Not copied, because of a problem: {report.failed:,}")
        lines += [f"  {problem.key}: {problem.reason}" for problem in report.problems]
    return "\n".join(lines)
