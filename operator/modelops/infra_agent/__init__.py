"""The Infra agent's conversation about models."""
