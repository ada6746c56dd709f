"""One stored document and the rules of its properties. Pure: no I/O.

Start with ``document``. ``metadata`` is the format of a stored document, ``revision`` builds the
next one, ``merge`` merges two changes of a property, ``policy`` is the declaration of a property,
``lifetimes`` and ``pending_expiry`` its expiry. Imports ``errors``, ``clock``, ``serialization``,
``keys`` and ``jsonpath``.
"""
