"""Everything is killed and everything fails while captures go through; at the end nothing may be lost, doubled or unverified."""
