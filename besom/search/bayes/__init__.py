"""`method: bayes`, the flagship: `method` arranges; `layout`, `outputs`, `gp` and `acquire` are its mathematics."""
