"""The adapters behind the ports: one package for each service that the operator calls."""
