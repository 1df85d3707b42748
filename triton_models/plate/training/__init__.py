"""Training, export and evaluation of Panoveil's number-plate detector."""
