"""Capabilities, tried out on the running server: each module holds the probes of one concern.

A probe returns a `capability.CapabilityCell`: yes, no, or not known here and why, always with the evidence for it.
"""
