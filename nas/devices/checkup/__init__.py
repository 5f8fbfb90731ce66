"""A check-up of this computer and of its phones: one finding a line, with what to do about it."""
