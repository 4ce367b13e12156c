"""The evaluation program: asks baseline and candidate the same held-out questions and compares the answers."""
