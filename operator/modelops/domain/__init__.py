"""Pure decisions: no I/O, no clock. What is observed goes in, a plan comes out."""
