"""Gates: statistics that decide whether an evaluation passes, fails or is inconclusive."""
