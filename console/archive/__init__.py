"""What is done about originals that lie in the archive: brought back, or erased."""
