"""AgentModel: what is observed goes in, a plan comes out."""
