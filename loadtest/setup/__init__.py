"""Ease of setup: what is counted, timed and tried out on each server, and what is looked up."""
