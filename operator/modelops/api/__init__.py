"""The API of ModelOps: pydantic models that CRDs, clients and reference docs are made from."""
