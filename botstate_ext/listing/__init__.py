"""Listings: the documents of a scope by page, without reading them.

``listing`` walks the keys, ``attribution`` decides to whom a document belongs, ``records`` is the
record of a document, ``continuation`` makes the tokens of pages. Imports ``documents``, ``keys``
and ``storage``.
"""
