"""The doors of the hub: HTTP routes, server-sent events, and the folder of journals. No door carries rules of its own."""
