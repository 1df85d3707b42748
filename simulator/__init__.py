"""A virtual survey car: it photographs a procedural street, or real panoramas, with any rig, and knows the exact truth."""
