"""The floor every Panoveil service stands on; it knows no service."""
