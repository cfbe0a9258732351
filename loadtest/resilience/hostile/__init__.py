"""Hostile requests: a table of them for each wire, sent byte by byte, and what each server made of them."""
