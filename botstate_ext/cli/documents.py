"""``python -m botstate_ext list``, ``show`` and ``query``. These commands change nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, TypeVar

import click

from ..jsonpath import JsonPath
from ..listing.records import DocumentRecord
from ..scopes.scope import StateScope
from ..states.state_scopes import StateScopes
from .progress import Show, progress
from .target import as_json_option, on_states

F = TypeVar("F", bound=Callable[..., Any])


def _chosen(command: F) -> F:
    """Add the options that choose documents."""
    for option in (
        as_json_option("Print a JSON array."),
        click.option("--limit", type=click.IntRange(min=1), help="At most this many."),
        click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="With this tag."),
        click.option("--channel", help="Of this channel only."),
        click.option("--scope", required=True, help="user, conversation, ... or the app's own."),
    ):
        command = option(command)
    return command


@click.command("list")
@_chosen
@on_states
async def list_(
    states: StateScopes,
    scope: str,
    channel: str | None,
    tags: tuple[str, ...],
    limit: int | None,
    as_json: bool,
) -> int:
    """List the documents of a scope, without reading them."""
    with progress() as show:
        found = _scope(states, scope).scan(tags=_tags(tags), channel_id=channel)
        records = _first(found, limit, show)
        await _print(((_entry(record), _line(record)) async for record in records), as_json)
    return 0


@click.command()
@click.argument("path")
@_chosen
@on_states
async def query(
    states: StateScopes,
    path: str,
    scope: str,
    channel: str | None,
    tags: tuple[str, ...],
    limit: int | None,
    as_json: bool,
) -> int:
    """Print the result of a JSONPath for each document of a scope in which it finds something."""
    compiled = JsonPath(path)
    with progress() as show:
        found = _scope(states, scope).scan(compiled, tags=_tags(tags), channel_id=channel)
        answers = (
            (record.key, compiled.run(record.data)) async for record in _first(found, limit, show)
        )
        await _print(
            (
                ({"key": key, "found": answer}, f"{key}  {json.dumps(answer)}")
                async for key, answer in answers
            ),
            as_json,
        )
    return 0


@click.command("show")
@click.argument("key")
@as_json_option("Print the JSON in one line.")
@on_states
async def show_(states: StateScopes, key: str, as_json: bool) -> int:
    """Print one document as JSON, by its key as `list` prints it."""
    record = await states.read_document(key)
    if record is None:
        raise click.ClickException(f"There is no document {key!r}.")
    entry = _entry(record) | {"properties": record.data}
    click.echo(json.dumps(entry, indent=None if as_json else 2))
    return 0


def _scope(states: StateScopes, name: str) -> StateScope:
    for scope in states:
        if scope.scope_name == name:
            return scope
    try:
        return states.scope(name)  # without --app, nobody has named it yet
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _tags(texts: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError("--tag is NAME=VALUE.")
        tags[name] = value
    return tags


async def _first(
    records: AsyncIterator[DocumentRecord], limit: int | None, show: Show
) -> AsyncIterator[DocumentRecord]:
    number = 0
    async for record in records:
        yield record
        number += 1
        show(f"found {number:,}")
        if number == limit:
            return


async def _print(entries: AsyncIterator[tuple[dict[str, Any], str]], as_json: bool) -> None:
    """Print each entry as soon as it is known: as a line, or as an element of one JSON array."""
    number = 0
    async for plain, line in entries:
        if as_json:
            click.echo(("[\n" if number == 0 else ",\n") + json.dumps(plain), nl=False)
        else:
            click.echo(line)
        number += 1
    if as_json:
        click.echo("\n]" if number else "[]")


def _entry(record: DocumentRecord) -> dict[str, Any]:
    told = {name: value for name, value in asdict(record).items() if name != "data"}
    times = {name: told[name] for name in ("created", "updated", "expires")}
    return told | {name: time and time.isoformat() for name, time in times.items()}


def _line(record: DocumentRecord) -> str:
    tags = json.dumps(dict(record.tags)) if record.tags else ""
    return f"{record.updated:%Y-%m-%d %H:%M}  {record.size:>8,}  {record.key}  {tags}".rstrip()
