"""The method: how results of this release were measured.

Its number is in every result. Results of different methods are not comparable: a change between them may be one of the
method. docs/method.md describes it, and the changelog what is new in each.
"""

METHOD = 2
"""Of everything that this release measures."""

FIRST = 1
"""Of results that name none."""
