"""The turn: ``middleware`` loads, runs the bot and saves.

``locks`` let turns of a conversation run one after another, ``deduplication`` skips what a channel
delivers again, ``held_replies`` sends replies after the save, ``replay`` runs a turn again that
lost a race. Imports ``states`` and what is below it.
"""
