"""Identity capture: reads cards, compares one face with one portrait, and says why it decided so.

A recognition library: no database, no HTTP, no clock, no files. Images live in memory only. Comparison
is 1:1 by construction: nothing here takes more than one portrait.
"""
