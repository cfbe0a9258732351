"""The last mile of a model: blessed on the real servers, pushed to where they read it, or refused with a reason.

It consumes ``artifacts/`` and starts servers as `loadtest` does; it imports no framework.
"""
