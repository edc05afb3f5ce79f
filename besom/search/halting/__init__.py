"""Stopping rules: each looks at the values logged so far and names the running trials that should end."""
