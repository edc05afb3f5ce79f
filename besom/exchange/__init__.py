"""Runs in and out of besom: what other tools keep as records, what besom keeps as files. Knows no store and no network."""
