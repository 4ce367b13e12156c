"""What runs inside a training job. These files travel into it, so they import nothing of this package."""
