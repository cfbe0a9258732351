"""Capabilities, tried out on the running server: each module holds the probes of one concern.

A probe returns a `cell.Cell`: yes, no, or not known here and why, always with the requests and answers that say so.
"""
