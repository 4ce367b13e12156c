"""Real input for the demo and the tests."""
