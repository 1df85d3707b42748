"""How long each class of data is kept, from one file: what is due, and its end."""
