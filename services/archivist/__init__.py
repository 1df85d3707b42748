"""Puts the originals of what is published into cold storage, encrypted, one object a capture."""
