"""Stitched panoramas in, published ones out: whatever identifies a person is gone, proven gone, or the picture is held."""
