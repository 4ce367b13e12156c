"""The packages of a training job: their pins, and an environment on this machine that has them installed."""
