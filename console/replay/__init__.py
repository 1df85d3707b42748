"""Runs a part of the past again under another recipe."""
