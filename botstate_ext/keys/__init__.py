"""Storage keys: ``build`` makes one from an activity or an id, ``parse`` reads it back.

Pure: imports nothing but ``errors``. The grammar of keys is here and nowhere else.
"""
