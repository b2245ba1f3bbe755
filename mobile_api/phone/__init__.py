"""The reference phone: holder keys, a key bundle, and the door protocol over bleak."""
