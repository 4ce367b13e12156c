"""What a training job installs: its pins, and on this machine an environment that has them already."""
