"""A search from its first check to its last trial.

`from nas.search import search` is the public way in; it loads no more than it is asked for."""
