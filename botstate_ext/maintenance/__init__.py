"""Between turns: ``sweep`` removes what has expired, ``migration`` rewrites a whole storage,
``storage_copy`` copies one to another.

``expiry_handlers`` calls an app's handlers of expired properties, ``conversation_end`` removes what
a conversation leaves. Imports ``scopes`` and what is below them.
"""
