"""The bridge to the broker."""
