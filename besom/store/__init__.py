"""What the hub keeps: runs, series, console, sweeps and alerts in one SQLite file, and blobs in a folder.

Ports with their contracts stand in ports.py; nobody above the hub reads these tables.
"""
