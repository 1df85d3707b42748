"""`panoveil evaluate`: how much of what is annotated the anonymizer hides, and how much it hides besides."""
