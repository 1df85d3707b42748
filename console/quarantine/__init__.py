"""`panoveil quarantine …`: what cannot be worked on, and what a person does about it."""
