"""Asks the team's own agent the questions of an evaluation, by HTTP or as a function, with each model in turn."""
