"""The lock itself: no IO, no clock, no randomness of its own. Events in, effects out."""
