"""What is published of a drive, for readers outside: STAC, GeoJSON, GeoParquet."""
