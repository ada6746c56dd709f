"""The console: pages in the bot's own aiohttp app that show its state. Needs the extra ``console``.

``mount`` has `setup`. ``access`` decides who may see the pages and who may change something,
``masking`` hides properties before anything else sees them. ``recorder`` keeps the last saves and
turns, ``search`` finds documents within a time, ``tree`` and ``changes`` turn values into what the
templates show. ``pages`` has a module for each page; ``templates`` and ``static`` go with them.
Nothing is fetched from another server.
"""

from __future__ import annotations

from .mount import setup

__all__ = ["setup"]
