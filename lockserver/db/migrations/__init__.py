"""Schema changes, in order. The models are what they must add up to (a test says so)."""
