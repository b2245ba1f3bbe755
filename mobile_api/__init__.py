"""The app's door."""
