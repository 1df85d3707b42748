"""A simulation of the national season: what it takes to publish it, how long it takes, and what it costs."""
