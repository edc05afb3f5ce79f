"""Adapters for other frameworks, each about a hundred lines on the public face and nothing else of ours.

An adapter is loaded by its own name (`from besom.integrations.lightgbm import log_evaluation`), so that no framework is imported
before a script uses it. Those that stand for a whole training (lightning, huggingface, hydra) begin a run when there is none;
the others log to the run that is active. None of them ends a run that it did not begin.
"""
