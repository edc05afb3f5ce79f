"""`python -m besom` is the `besom` command; the SDK starts its carrier this way."""

from besom.cli.commands import main

if __name__ == "__main__":
    main()
