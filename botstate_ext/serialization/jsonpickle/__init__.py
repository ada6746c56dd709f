"""Reads and writes the jsonpickle format of the SDK as data. Stored data is never executed.

A document goes through these steps, in this order:

1. :func:`has_tags` and :func:`has_references` look at the bytes: is any of this needed?
2. :func:`expand_references` replaces each ``py/id`` of a document by a copy   (references.py)
3. :func:`to_plain` makes plain JSON of a typed property's value              (plain.py)
4. :func:`restore` makes the objects of an untyped value, by an allow-list    (restore.py)
5. :func:`flatten` writes such a value so that the SDK can read it too        (flatten.py)

``tags.py`` holds the names and the shape of every tag, ``standard.py`` Python's own value types.
jsonpickle's decoder is not used: it imports and calls every name in the data.
"""

from __future__ import annotations

from .defaults import add_defaults
from .flatten import Flattener, flatten, is_model, is_simple
from .instances import attributes_of, new, set_attribute
from .parts import find
from .plain import Instance, to_plain, to_tree
from .references import expand_references
from .restore import restore
from .tags import OBJECT, count_tags, has_references, has_tags, may_write_tags

__all__ = [
    "OBJECT",
    "Flattener",
    "Instance",
    "add_defaults",
    "attributes_of",
    "count_tags",
    "expand_references",
    "find",
    "flatten",
    "has_references",
    "has_tags",
    "is_model",
    "is_simple",
    "may_write_tags",
    "new",
    "restore",
    "set_attribute",
    "to_plain",
    "to_tree",
]
