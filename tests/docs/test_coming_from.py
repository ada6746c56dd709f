"""docs/coming-from.md leaves out nothing of what the other systems have; every row of it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import test_snippets

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"

# What the documentation of each system shows, by the heading of its section here.
OPERATIONS = {
    "Bot Framework v3: the state service": (
        "GetUserData", "GetConversationData", "GetPrivateConversationData", "SetUserData",
        "SetConversationData", "SetPrivateConversationData", "DeleteStateForUser",
        "GetStateClient", "SetProperty<bool>", "GetProperty<bool>", "complex object",
        "GetProperty<MyUserData>", 'ETag` is `"*"', 'BotData(eTag: "*")', "precondition failed",
        "32 KB", "removes the bot contact",
    ),
    "Bot Framework v4: BotState": (
        "MemoryStorage", "UserState(", "ConversationState(", "PrivateConversationState(",
        "create_property", "CreateProperty<", "get(turn", "set(turn", "save_changes(turn, False)",
        "BlobsStorage", "last writer wins", "optimistic locking", "custom JSON serializer",
    ),
    "Botpress": (
        "conversation.id", "user.id", "conversation.tags", "user.tags", "getConversation",
        "updateConversation", "getUser", "updateUser", "listConversations", "nextToken",
        "listUsers", "deleteConversation", "deleteUser", "getOrSetState", "setState", "getState",
        "listStates", "deleteState", "createdAt", "updatedAt", "expiresAt", "expiry: 3600",
        "stateExpired", "conversation |", "user |", "bot |", "workflow |", "integration", "name",
        "pictureUrl", "state.id",
    ),
    "Haptik": (
        "User Details, `SET`", "User Details, `GET`", "Conversation Data, `SET`",
        "Conversation Data, `GET`", "`Event` payload", "committed after", "marked as complete",
        "all businesses",
    ),
    "The scripted chatbot's context variables": (
        "(session)", "(chat)", "shared between conversations", "{@session.orderCode}",
        "{@chat.firstName}", "{@shared('test').firstName}",
        "{@shared(@session.orderCode).firstName}", "empty text", "no validation",
        "Selectors.Add", "AddFromStringifiedJson", "last order", "ContextWriteEnvelope",
        "regular\nexpression", "web request", "nesting",
    ),
}  # fmt: skip


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_is_a_section_for_each_system() -> None:
    assert sections().keys() == OPERATIONS.keys()


@pytest.mark.parametrize("system", OPERATIONS)
def test_nothing_is_left_out(system: str) -> None:
    text = sections()[system]
    assert [name for name in OPERATIONS[system] if name not in text] == []
    assert "No counterpart" in text, "it says what it has no answer to"


def test_every_row_is_run() -> None:
    """The code of a row that were written in another way would be passed over."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = {number for number, line in enumerate(lines, 1) if line.startswith("|")}
    heads = {n + d for n in rows for d in (0, 1) if lines[n - 1] == "| There | Here |"}
    run = {
        line for line, code in test_snippets.blocks(PAGE) if lines[line - 1].endswith(f"`{code}` |")
    }
    assert rows - heads == run
    assert len(run) > 70
