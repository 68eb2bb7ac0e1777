"""From what is typed to a config that can be trusted, and from its nodes to objects."""
