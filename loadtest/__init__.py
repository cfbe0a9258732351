"""A load tester for prediction servers: the same answers first, then latency, capacity, cost and ease of setup."""
