"""What runs inside the user's process: a run, its config and summary, and the one thing that they do, append records."""
