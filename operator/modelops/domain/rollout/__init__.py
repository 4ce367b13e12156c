"""Rollout: what is observed goes in, a plan comes out. The write protocol is in docs/designs."""
