"""The demo: a virtual car's drive through the whole pipeline, with a summary that can be believed."""
