"""The door for the unmodified wandb client: GraphQL, file streams and uploads become records and calls of the hub.

Walk: that client -> door.py -> graphql.py (resolvers by noun) or filestream.py or files.py -> words.py -> `hub.append`.
Only here are its words known. docs/wandb.md says what works; no rule about runs or sweeps is made here.
"""
