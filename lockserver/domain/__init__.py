"""Nouns and laws, pure."""
