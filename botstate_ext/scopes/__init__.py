"""Scopes and their properties, as a bot uses them.

``kinds`` are the six scopes and an app's own, ``scope`` is what they share, ``state_property`` is a
typed value of one. Imports ``unit_of_work``, ``listing`` and what is below them.
"""
