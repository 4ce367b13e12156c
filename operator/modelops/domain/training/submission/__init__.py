"""From an approved price to a submitted job."""
