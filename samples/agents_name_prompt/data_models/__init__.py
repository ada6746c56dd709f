"""What the bot remembers."""

from .conversation_data import ConversationData
from .user_profile import UserProfile

__all__ = ["ConversationData", "UserProfile"]
