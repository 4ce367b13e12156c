"""How answers are scored. `interface.py` says what a scorer is, and `choice.py` has them all."""
