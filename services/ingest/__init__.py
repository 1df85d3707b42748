"""Ingest: groups uploaded frames into captures, validates them, announces the whole ones."""
