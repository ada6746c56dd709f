"""The state management sample on aiohttp: `python app.py` starts it, PORT moves it."""

from __future__ import annotations

import errno
import socket
import sys
import traceback
from datetime import datetime, timedelta, timezone

from aiohttp import web
from botbuilder.core import MemoryStorage, Storage, TurnContext
from botbuilder.core.integration import aiohttp_error_middleware
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity, ActivityTypes

from bots import StateManagementBot
from botstate_ext import StateError, StateMiddleware, StateScopes, console, storage
from botstate_ext.aiohttp import setup
from config import DefaultConfig

CONFIG = DefaultConfig()


def create_storage(config: DefaultConfig) -> Storage:
    kind = config.STATE_STORAGE
    if kind == "memory":
        return MemoryStorage()
    if kind == "sqlite":
        return storage.SQLiteStorage(config.STATE_FILE)
    # Each of these is imported, and has to be installed, when it is used.
    if kind == "blob":
        return storage.BlobStorage(
            connection_string=config.needed("AZURE_STORAGE_CONNECTION_STRING"),
            container_name=config.STATE_CONTAINER,
        )
    if kind == "postgres":
        return storage.PostgresStorage(config.needed("STATE_URL"))
    if kind == "redis":
        return storage.RedisStorage(config.needed("STATE_URL"))
    if kind == "cosmos":
        return storage.CosmosStorage(
            config.needed("AZURE_COSMOS_ENDPOINT"),
            config.needed("AZURE_COSMOS_KEY"),
            database=config.STATE_DATABASE,
            container=config.STATE_CONTAINER,
        )
    sys.exit("STATE_STORAGE is one of memory, sqlite, blob, postgres, redis and cosmos.")


ADAPTER = CloudAdapter(ConfigurationBotFrameworkAuthentication(CONFIG))

# All that this bot does about its state: one load before each turn, one save after it. What a
# channel delivers again, because the bot was slow to answer, is not answered again.
STATES = StateScopes(create_storage(CONFIG))
ADAPTER.use(StateMiddleware(STATES, deduplicate=timedelta(minutes=10)))
BOT = StateManagementBot(STATES.conversation, STATES.user)


async def on_error(context: TurnContext, error: Exception) -> None:
    print(f"\n [on_turn_error] unhandled error: {error}", file=sys.stderr)
    traceback.print_exception(type(error), error, error.__traceback__)

    await context.send_activity("The bot encountered an error or bug.")
    await context.send_activity("To continue to run this bot, please fix the bot source code.")
    if context.activity.channel_id == "emulator":
        await context.send_activity(
            Activity(
                type=ActivityTypes.trace,
                label="TurnError",
                name="on_turn_error Trace",
                timestamp=datetime.now(timezone.utc),
                value=str(error),
                value_type="https://www.botframework.com/schemas/error",
            )
        )

    # The bot may have failed on what the conversation remembers: the next message starts afresh.
    # Not so after a StateError: another turn was faster, the storage failed, or a stored value
    # could not be read. What is stored is right then, and must stay.
    if not isinstance(error, StateError):
        await STATES.conversation.delete(context)


ADAPTER.on_turn_error = on_error


async def messages(request: web.Request) -> web.Response:
    # A turn that is no invoke has no body to answer with.
    answer = await ADAPTER.process(request, BOT)
    return web.Response(status=201) if answer is None else answer


APP = web.Application(middlewares=[aiohttp_error_middleware])
APP.router.add_post("/api/messages", messages)
setup(APP, STATES)
try:
    console.setup(APP, STATES)
    CONSOLE = f"http://localhost:{CONFIG.PORT}/state/"
except ImportError:
    CONSOLE = 'pip install "botstate-ext[console]"'  # for pages that show the state


def loopback_addresses() -> list[str]:
    """This machine's own addresses, by which `localhost` may mean either.

    Binding to the name fails in containers that list ::1 for it and have no IPv6.
    """
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ["127.0.0.1"]
    return ["127.0.0.1", "::1"]


def greeting(config: DefaultConfig) -> str:
    endpoint = f"http://localhost:{config.PORT}/api/messages"
    chat = "make chat" if config.PORT == 3978 else f"PORT={config.PORT} make chat"
    place = config.STATE_FILE if config.STATE_STORAGE == "sqlite" else config.STATE_STORAGE
    return (
        f"The bot listens on {endpoint} and keeps its state in {place}.\n"
        f"Its console, in a browser on this machine:  {CONSOLE}\n"
        f"Talk to it from another terminal:  {chat}\n"
        "or in a browser:  "
        f"npx @microsoft/m365agentsplayground start -e {endpoint} -c emulator\n"
        "Ctrl-C stops it."
    )


def main() -> None:
    # aiohttp calls `print` once it listens; its own text names the addresses only.
    started = greeting(CONFIG)
    try:
        web.run_app(
            APP,
            host=loopback_addresses(),
            port=CONFIG.PORT,
            print=lambda _: print(started, flush=True),
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit(f"Port {CONFIG.PORT} is taken: PORT={CONFIG.PORT + 1} make run")


if __name__ == "__main__":
    main()
