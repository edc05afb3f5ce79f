"""besom: experiment tracking and hyperparameter sweeps on your own machine."""
