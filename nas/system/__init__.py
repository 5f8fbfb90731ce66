"""Files, caches, hashes and locks, and what this machine is. Knows nothing of networks."""
