"""A study, and what comes of it, as values.

`from nas.study import Study` is the public way in; it loads no more than it is asked for."""
