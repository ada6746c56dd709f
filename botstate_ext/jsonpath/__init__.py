"""Runs JSONPath (RFC 9535) on plain JSON values. jsonpath-rfc9535 parses the paths.

    path.py       JsonPath, the class for the rest of the package
    limits.py     the limits of a path, and Run, which counts against them
    parse.py      text -> the library's syntax tree, behind guards
    lexer.py      two corrections to the library's lexer
    compiler.py   syntax tree -> closures over lists of values
    compare.py    == and < of JSON values
    iregexp.py    the patterns of match() and search()
    reach.py      the names that a path can read
    steps.py      a singular path: names and indexes, nothing else

Only path.py, limits.py and steps.py are imported with the package. The parser and its regular
expressions take some 30 ms to import, and a bot without queries does not need them.
"""

from __future__ import annotations

from .path import JsonPath

__all__ = ["JsonPath"]
