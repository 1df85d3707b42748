"""Benchmarks of the anonymizer: cost beside the models, and what obfuscation lets through."""
