"""One run by several processes: how they join, share out and sum, and end together."""
