"""One package per world that the operator talks to."""
