"""`panoveil holds …`: what must not be published until a person decides, and what that person decides."""
