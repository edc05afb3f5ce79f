"""Search: pure mathematics over values. `suggest(sweep, trials, n, seed)` and `stop(sweep, trials)`; imports nothing of ours."""
