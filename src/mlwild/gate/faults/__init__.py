"""Faults of a test that can be read in its source, by kind."""
