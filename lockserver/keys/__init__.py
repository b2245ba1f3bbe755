"""Keyring, signer and device certificates."""
