"""One stored document and the rules of its properties. Pure: no I/O.

Begin with ``document``. ``revision`` makes the next text of a document, ``merge`` joins two
changes, ``policy`` holds what a bot declared of a property. Imports ``errors``, ``clock``,
``serialization``, ``keys`` and ``jsonpath``.
"""
