"""The Bot Framework SDK (``botbuilder-core``) as a host.

``host`` answers what the package asks, ``channel`` and ``holding_adapter`` hold what a bot sends,
``snapshot`` puts a turn's context back for a replay.
"""
