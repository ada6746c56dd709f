"""The documents of one user.

``user_documents`` finds them, ``erasure`` removes them, ``export`` returns them as JSON. Imports
``listing``, ``unit_of_work`` and what is below them.
"""
