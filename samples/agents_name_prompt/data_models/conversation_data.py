"""What the bot knows of one conversation."""

from __future__ import annotations


class ConversationData:
    def __init__(
        self,
        timestamp: str | None = None,
        channel_id: str | None = None,
        prompted_for_user_name: bool = False,
    ) -> None:
        # When the latest message came, as it is shown to the user.
        self.timestamp = timestamp
        self.channel_id = channel_id
        # Whether the next message is the answer to "What is your name?".
        self.prompted_for_user_name = prompted_for_user_name
