"""``StateScopes``: all scopes of a bot as one, and the operations on all of them.

Imports ``scopes``, ``maintenance``, ``privacy``, ``templates`` and the packages below them.
"""
