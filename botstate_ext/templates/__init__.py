"""Templates: texts in which ``{@scope.name}`` stands for what a bot remembers.

``syntax`` parses them, ``template`` renders them. Imports ``errors`` and ``jsonpath``.
"""
