"""The deployables. They never import one another: they meet on the streams."""
