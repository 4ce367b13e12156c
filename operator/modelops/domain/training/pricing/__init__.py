"""What a training costs: hardware, memory, speed, estimate, and the offer that is made."""
