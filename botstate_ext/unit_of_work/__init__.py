"""Units of work: the documents that a turn has loaded, its changes, and how these are written.

Begin with ``work``. ``write_changes`` writes the changes of a
turn, ``update`` changes one property at once,
``rewrite`` changes a document that no turn has loaded. ``replay_work`` and its neighbours keep
the writes of a turn that may run again. ``save_events`` calls the handlers of ``on_saved``.
Imports ``documents``, ``storage`` and the packages below them.
"""
