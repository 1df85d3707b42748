"""Rigs: bringing calibrations in, and showing what a rig sees."""
