"""Templates: texts in which ``{@scope.name}`` is replaced by a value of the bot's state.

``syntax`` parses them, ``template`` renders them. Imports ``errors``, ``jsonpath`` and ``keys``.
"""
