"""A province of our own making; it knows nobody of ours."""
