"""A search method as a user might write one, for `custom: tests/search/anybody.py:spread`."""

from besom.search import suggest


def spread(sweep, trials, n):
    return suggest({**sweep, "method": "quasi", "custom": None}, trials, n)
