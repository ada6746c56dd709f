"""JSONPath (RFC 9535) over plain JSON values: parsed by jsonpath-rfc9535, run by this package.

    path.py       JsonPath, which is what the rest of the package uses
    limits.py     what a path may cost, and Run, which counts it
    parse.py      text -> the library's syntax tree, behind guards
    lexer.py      two corrections to the library's lexer
    compiler.py   syntax tree -> closures over lists of values
    compare.py    == and < of JSON values
    iregexp.py    the patterns of match() and search()
    reach.py      which names a path can read
    steps.py      a singular path: names and indexes, nothing else

Only path.py, limits.py and steps.py are imported with the package: the parser and its regular
expressions take some 30 ms to import, which a bot without a query does not pay.
"""

from __future__ import annotations

from .path import JsonPath

__all__ = ["JsonPath"]
