"""The Bot Framework SDK (``botbuilder-core``) as a host.

``host`` answers what the package asks, ``channel`` holds what a bot sends, ``snapshot`` puts a
turn's context back for a replay.
"""
