"""The bot of this sample."""

from .state_management_bot import StateManagementBot

__all__ = ["StateManagementBot"]
