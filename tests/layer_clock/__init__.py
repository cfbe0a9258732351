"""What a server counts of its CPU time."""
