"""One trial, from a candidate to its result: its task, its steps, and where it may wait."""
