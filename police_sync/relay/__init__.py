"""Delivers outbox entries to the province and verifies what comes back."""
