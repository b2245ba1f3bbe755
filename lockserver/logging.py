"""Structured diagnostics without personal data."""
