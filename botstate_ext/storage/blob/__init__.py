"""Azure Blob storage: ``blob`` is the storage, ``requests`` sends, ``errors`` reads the answers."""
