"""Listings: the documents of a scope by page, without reading them.

``listing`` walks the keys, ``records`` tells what is known of a document, ``continuation`` makes
the tokens of pages. Imports ``documents``, ``keys`` and ``storage``.
"""
