"""The lock's logic: no IO, no clock of its own."""
