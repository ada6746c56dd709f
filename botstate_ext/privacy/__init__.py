"""Everything of one user: ``user_documents`` finds it, ``erasure`` removes it.

``export`` hands it out. Imports ``listing``, ``unit_of_work`` and what is below them.
"""
