"""Runs in and out of besom as iterables of records or rows. Knows no store and no network."""
