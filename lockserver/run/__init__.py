"""Roles, supervisor, doctor and story: the composition root's rooms."""
