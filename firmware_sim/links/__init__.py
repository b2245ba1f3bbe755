"""What carries bytes to and from a lock: radio, broker, memory."""
