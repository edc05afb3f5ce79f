"""A run's own file: append-only, one writer, every record checked by a CRC. docs/format/journal.md has the bytes."""
