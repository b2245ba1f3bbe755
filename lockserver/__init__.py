"""The authority: what is true, and who may open what."""
