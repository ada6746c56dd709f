"""The bot of this sample."""

from .pizza_bot import PizzaBot

__all__ = ["PizzaBot"]
