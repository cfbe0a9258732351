"""Train a workload once and export the same weights for every server.

Nothing here is imported by a server: servers consume the folder that `python -m models build` writes.
"""
