"""The edge to the SDK that a bot runs on: the only package that imports ``botbuilder``.

``protocol`` is what the package asks of an SDK, and ``bot_framework`` the Bot Framework SDK's
answer. ``bases`` are the SDK's classes that ours are subclasses of. ``activity`` reads activities
of any SDK. Imports ``errors``.
"""
