"""Specimen identity cards and portraits: made up, labelled, for the demo, the tests and the bench.

No person here exists. The portraits are two public-domain photographs that other packages ship.
"""
