"""An example's own tests, run against the code in a model's answer, in a sandbox: docs/designs/023-code-tests.md."""
