"""The edge to the SDK that a bot runs on: with ``agents`` at the top, all that imports an SDK.

``protocol`` lists the questions of the package to an SDK. ``bot_framework`` answers them for the
Bot Framework SDK, and ``agents`` for the Microsoft 365 Agents SDK. ``bases`` are the SDK's classes
that ours are subclasses of. ``activity`` reads activities of any SDK. Imports ``errors``.
"""
