"""`panoveil …`: what people run."""
