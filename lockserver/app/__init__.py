"""Use cases: one verb a file, awaiting ports only."""
