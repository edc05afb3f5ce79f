"""The vocabulary: records, their fold, batches, bytes, names, errors and the words of the API. No I/O, no clock, no threads."""
