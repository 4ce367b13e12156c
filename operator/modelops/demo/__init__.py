"""The demo of `make demo`, and its real examples, which the tests use, too."""
