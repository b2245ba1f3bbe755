"""The reference phone: protocol and HTTP, nothing of the server."""
