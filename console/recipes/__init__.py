"""Recipes: which are published, how they differ, which one is current."""
