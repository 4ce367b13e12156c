"""A sample of the agent's recent inputs in production, which both arms are asked. It decides nothing."""
