"""Many simulated rollouts at once, in numpy, by the rule of `modelops.domain.analysis`."""
