"""Units of work: the documents that a turn has loaded, its changes, and how these are written.

Begin with ``work``; ``workspace`` makes it for a turn. ``write_changes`` decides how a turn's
changes are written, and ``write_loop`` writes. ``update`` changes one property at once, ``rewrite``
a document that no turn has loaded. ``replay_work`` and its neighbours keep the writes of a turn
that may run again. ``save_events`` calls the handlers of ``on_saved``. Imports ``documents``,
``storage`` and the packages below them.
"""
