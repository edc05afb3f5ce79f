"""Sweeps: reading a sweep.yaml, and the controller that an agent's heartbeat calls."""
