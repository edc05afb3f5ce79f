"""Contracts to inherit: a new store, sampler or launcher is right when these tests pass on it."""
