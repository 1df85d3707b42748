"""Frames of a capture to its panorama."""
