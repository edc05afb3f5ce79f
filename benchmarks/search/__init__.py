"""The search benchmark: tasks, engines, cells and scores. `benchmarks/search.py` is its command."""
