"""A phone as a device: what it is, what state it is in, and how an artifact is timed on it."""
