"""How large what is fetched may be, in bytes: more is refused before it is read."""

LONGEST_MANIFEST = 64 * 1024
"""Sixteen frames take five thousand."""

LARGEST_PICTURE = 256 << 20
"""More than any JPEG of a lens or panorama has: one of 200 megapixels takes a hundred million."""
