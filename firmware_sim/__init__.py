"""A lock, faithful enough to be argued with."""
