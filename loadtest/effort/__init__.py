"""Ease of setup, measured: what ``loadtest setup`` counts, times and probes, one concept per module.

Counted: `written` (what a person writes), `closure`, `program` and `size` (what is installed), `moving` (what runs).
Timed: `timeline` (a start, in stages) and `cold` (from nothing). Tried out: `probes`. Looked up: `facts`.
`setup` puts them together, `document`, `table` and `wording` show them, `weights` adds up what the reader has weighed.
"""
