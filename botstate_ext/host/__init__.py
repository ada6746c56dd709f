"""The edge to the bot's SDK: the only package below ``scopes`` that imports ``botbuilder``."""
