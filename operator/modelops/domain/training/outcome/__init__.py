"""From a submitted job to the end of the run: following, retries, settlement."""
