"""Agents: what runs the trials of a sweep, as programs or functions, one at a time or many on a machine."""
