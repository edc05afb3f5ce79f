"""The use cases: records come in, questions are answered. Knows no HTTP and no journals."""
