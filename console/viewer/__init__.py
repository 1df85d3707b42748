"""`panoveil view`: walk along what is published of a drive, in a browser."""
