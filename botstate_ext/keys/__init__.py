"""Storage keys: their whole grammar is here and nowhere else. Pure; imports only ``errors``.

``scopes`` is the table of scopes, ``build`` makes a key from an activity or an id, ``parse`` reads
a key back.
"""
