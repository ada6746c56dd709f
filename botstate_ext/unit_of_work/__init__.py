"""Units of work: what a turn has loaded, what it changed, and how that is written.

Begin with ``work``. ``commit`` writes one document, ``update`` changes one property at once,
``rewrite`` changes a document that no turn holds, ``replay_work`` and its neighbours keep the
writes of a turn that may run again. ``save_events`` tells the handlers of ``on_saved``.
Imports ``documents``, ``storage`` and what is below them.
"""
