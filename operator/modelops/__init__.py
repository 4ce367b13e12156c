"""ModelOps: better models for coding agents, safely."""
