"""The evaluation program: asks baseline and candidate the same held-out questions and judges the answers."""
