"""The report of an evaluation for people, in the data repository of the candidate."""
