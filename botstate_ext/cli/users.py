"""``python -m botstate_ext export-user`` and ``erase-user``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..privacy.erasure import ErasureReport
from ..states.state_scopes import StateScopes
from .progress import progress
from .target import as_json_option, on_states


@click.command("export-user")
@click.argument("channel_id")
@click.argument("user_id")
@click.option("--conversation", "conversations", multiple=True, help="Look in these only.")
@click.option("--dry-run", is_flag=True, help="Only say which documents it would read.")
@as_json_option("Print the JSON in one line.")
@on_states
async def export_user(
    states: StateScopes,
    channel_id: str,
    user_id: str,
    conversations: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Print all data of one user as JSON.

    Without --app, the data of the app's on_export handlers is missing. The exit code is 1 if a
    document or a handler failed, or if a document may be the user's: see "failed" and "ambiguous"
    in the output.
    """
    with progress() as show:
        export = await states.export_user(
            channel_id,
            user_id,
            conversation_ids=conversations or None,
            dry_run=dry_run,
            on_progress=lambda seen: show(f"looked at {seen:,} keys"),
        )
    click.echo(json.dumps(export, indent=None if as_json else 2))
    return 1 if export["ambiguous"] or export["failed"] else 0


@click.command("erase-user")
@click.argument("channel_id")
@click.argument("user_id")
@click.option("--conversation", "conversations", multiple=True, help="Look in these only.")
@click.option("--dry-run", is_flag=True, help="Only say what it would remove.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is removed.")
@as_json_option("Print the report as JSON.")
@on_states
async def erase_user(
    states: StateScopes,
    channel_id: str,
    user_id: str,
    conversations: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete all data of one user. You can run it again, also after an interruption.

    Without --app, the app's on_erase handlers do not run. The exit code is 1 if documents are left
    that failed, or that may be the user's.
    """

    async def erase(*, only_looking: bool) -> ErasureReport:
        with progress() as show:
            return await states.erase_user(
                channel_id,
                user_id,
                conversation_ids=conversations or None,
                dry_run=only_looking,
                on_progress=lambda seen: show(f"looked at {seen:,} keys"),
            )

    if not dry_run and not yes:
        found = await erase(only_looking=True)
        click.echo("\n".join(found.removed), err=True)
        click.confirm(
            f"Remove these {len(found.removed):,} documents, and call the app's handlers?",
            abort=True,
            err=True,
        )
    report = await erase(only_looking=dry_run)
    click.echo(json.dumps(asdict(report)) if as_json else _in_words(report))
    return 0 if report.complete else 1


def _in_words(report: ErasureReport) -> str:
    lines = [("To be removed: " if report.dry_run else "Removed: ") + f"{len(report.removed):,}"]
    lines += [f"  {key}" for key in report.removed]
    if report.handlers_run:
        lines.append(f"Handlers run: {report.handlers_run:,}")
    if report.ambiguous:
        lines.append("Left, because they may be of someone else as well:")
        lines += [f"  {key}" for key in report.ambiguous]
    if report.failed:
        lines.append("Failed; run it again:")
        lines += [f"  {what}: {why}" for what, why in report.failed.items()]
    return "\n".join(lines)
