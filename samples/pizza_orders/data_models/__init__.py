"""What the bot remembers."""

from .pizza import Pizza

__all__ = ["Pizza"]
