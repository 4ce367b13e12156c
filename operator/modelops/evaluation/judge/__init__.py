"""A model that judges which of two answers is better. It is a report beside the verdict, and never part of it."""
