"""Workers on a Ray cluster: the cluster, a node of it, and the crew that works there."""
