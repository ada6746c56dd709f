"""``StateScopes``: all scopes of a bot as one, and what can be asked of all of them.

Imports ``scopes``, ``maintenance``, ``privacy``, ``templates`` and what is below them.
"""
