"""One pizza of an order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pizza:
    name: str
    by: str  # who added it, as the channel names them
