"""What is told to people of a transition, and in which form. Pure: nothing is sent here."""
