"""The embedded default: every server Panoveil needs, on loopback, for as long as one command runs."""
