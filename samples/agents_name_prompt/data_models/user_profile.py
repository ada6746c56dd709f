"""What the bot knows of a user, in every conversation with them."""

from __future__ import annotations


class UserProfile:
    def __init__(self, name: str | None = None) -> None:
        self.name = name
