"""One stored document and the rules of its properties. Pure: no I/O.

Start with ``document``; ``property_codecs`` turns its texts into values and back, and
``detached_values`` are those that the bot holds and the document has replaced. ``metadata`` is the
format of a stored document, ``revision`` builds the next one, ``merge`` merges two changes of a
property, ``policy`` is the declaration of a property, ``lifetimes`` and ``pending_expiry`` its
expiry, ``limits`` its size. ``pending_writes`` tells if a write whose answer was lost is stored.
``quarantine`` names the values that ``document`` moves aside because they cannot be read.
``ownership`` is to whom a document belongs. Imports ``errors``, ``clock``, ``serialization``,
``keys`` and ``jsonpath``.
"""
