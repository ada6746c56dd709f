"""``python -m botstate_ext copy``, as someone runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import storage as storages
from botstate_ext.storage import SQLiteStorage, StateStorage
from tests import cosmos
from tests.cli import forked

pytest.importorskip("click", reason='pip install -e ".[cli]"')
pytest.importorskip("rich", reason='pip install -e ".[cli]"')

ROOT = Path(__file__).parents[2]
METADATA = {"statenextexpiry": "2030-01-01T00:00:00"}


async def run(*arguments: str, cwd: Path, **env: str) -> tuple[int | None, str, str]:
    return await forked.run("copy", *arguments, cwd=cwd, env={**os.environ, **env})


async def fill(storage: StateStorage, count: int = 3) -> None:
    async with storage:
        for number in range(count):
            body = b'{"n":%d,"name":"\xc3\xa9"}' % number
            await storage.put_if(f"test/users/{number}", body, etag=None, metadata=METADATA)


async def content(storage: StateStorage) -> dict[str, tuple[Any, dict[str, str]]]:
    async with storage:
        keys = [info.key async for info in storage.list_items()]
        items = await storage.get_many(keys)
    return {key: (json.loads(item.data), dict(item.metadata)) for key, item in items.items()}


Target = tuple[str, dict[str, str], Any]


@pytest.fixture(params=["sqlite", "postgres", "redis", "blob", "cosmos"])
def target(request: pytest.FixtureRequest, tmp_path: Path, table_name: str) -> Target:
    """Its URL, its environment, and how to open it."""
    kind = request.param
    if kind == "sqlite":
        return "sqlite:///to/new.db", {}, lambda: SQLiteStorage(tmp_path / "to" / "new.db")
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
        named = f"{url}{'&' if '?' in url else '?'}table={table_name}"
        return "env:TO", {"TO": named}, lambda: storages.PostgresStorage(url, table=table_name)
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        named = f"{url}?prefix={table_name}"
        return named, {}, lambda: storages.RedisStorage(url, prefix=table_name)
    name = f"copy-{table_name[-8:]}"
    if kind == "blob":
        text = request.getfixturevalue("azurite")
        env = {"AZURE_STORAGE_CONNECTION_STRING": text}
        return (
            f"blob://{name}",
            env,
            lambda: storages.BlobStorage(connection_string=text, container_name=name),
        )
    pytest.importorskip("azure.cosmos", reason="the driver of Cosmos DB is not installed")
    endpoint = request.getfixturevalue("cosmos_endpoint")
    options = {"enable_endpoint_discovery": False}
    env = {"AZURE_COSMOS_ENDPOINT": endpoint, "AZURE_COSMOS_KEY": cosmos.KEY}
    return (
        f"cosmos://db/{name}",
        env,
        lambda: storages.CosmosStorage(
            endpoint, cosmos.KEY, database="db", container=name, client_options=options
        ),
    )


async def test_from_a_file_to_each_and_back(target: Target, tmp_path: Path) -> None:
    url, env, opened = target
    await fill(SQLiteStorage(tmp_path / "bot.db"))
    code, out, err = await run("--from", "sqlite:///bot.db", "--to", url, cwd=tmp_path, **env)
    assert code == 0, err
    assert "Copied: 3" in out
    there = await content(opened())
    assert there == await content(SQLiteStorage(tmp_path / "bot.db"))
    back = f"sqlite:///{tmp_path / 'back.db'}"
    code, out, err = await run("--from", url, "--to", back, "--json", cwd=tmp_path, **env)
    assert code == 0, err
    report = json.loads(out)
    assert (report["seen"], report["copied"], report["problems"]) == (3, 3, [])
    assert await content(SQLiteStorage(tmp_path / "back.db")) == there


async def test_a_dry_run_and_what_is_there_otherwise(tmp_path: Path) -> None:
    await fill(SQLiteStorage(tmp_path / "bot.db"))
    async with SQLiteStorage(tmp_path / "to.db") as storage:
        await storage.put_if("test/users/1", b'{"s3cret":1}', etag=None)
    both = ("--from", "sqlite:///bot.db", "--to", "sqlite:///to.db")
    code, out, err = await run(*both, "--dry-run", cwd=tmp_path)
    assert code == 1, err
    assert "To be copied: 2" in out
    assert "nothing was changed" in out
    assert "test/users/1: Etag conflict" in out
    assert "s3cret" not in out + err
    code, out, _ = await run(*both, cwd=tmp_path)
    assert code == 1
    code, out, _ = await run(*both, "--overwrite", cwd=tmp_path)
    assert code == 0
    assert "Copied: 1" in out
    assert "There already: 2" in out


async def test_a_dry_run_to_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    await fill(SQLiteStorage(tmp_path / "bot.db"))
    both = ("--from", "sqlite:///bot.db", "--to", "sqlite:///to.db")
    code, out, err = await run(*both, "--dry-run", cwd=tmp_path)
    assert (code, "To be copied: 3" in out) == (0, True), err
    assert not (tmp_path / "to.db").exists()


@pytest.mark.parametrize(
    ("source", "to", "told"),
    [
        ("sqlite:///none.db", "sqlite:///to.db", "There is no file 'none.db'"),
        ("http://u:s3cret@host/", "sqlite:///to.db", "A storage is one of these"),
        ("env:NOWHERE", "sqlite:///to.db", "NOWHERE is not in the environment"),
        ("sqlite:///bot.db", "sqlite:///bot.db", "the same storage"),
        ("sqlite:///bot.db", "sqlite://bot.db", "sqlite:///state/bot.db"),
        ("sqlite:///bot.db", "redis://u:s3cret@host:port", "not one of Redis"),
        ("sqlite:///bot.db", "postgresql://u:s3cret@h/db?nonsense=1", "not a connection string"),
        ("sqlite:///bot.db", "blob://b", "AZURE_STORAGE_CONNECTION_STRING"),
        ("sqlite:///bot.db", "cosmos://a/b", "AZURE_COSMOS_ENDPOINT"),
    ],
)
async def test_a_wrong_command_line(source: str, to: str, told: str, tmp_path: Path) -> None:
    await fill(SQLiteStorage(tmp_path / "bot.db"))
    code, out, err = await run("--from", source, "--to", to, cwd=tmp_path)
    assert code == 2, err
    assert told in " ".join(err.replace("│", " ").split())
    assert "s3cret" not in out + err
    assert not (tmp_path / "none.db").exists()


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    await fill(SQLiteStorage(tmp_path / "bot.db"))
    to = "postgresql://u:s3cret@127.0.0.1:1/db"
    code, out, err = await run("--from", "sqlite:///bot.db", "--to", to, cwd=tmp_path)
    assert code == 1
    assert "cannot connect to the server" in err
    assert "s3cret" not in out + err
    assert "Traceback" not in err
