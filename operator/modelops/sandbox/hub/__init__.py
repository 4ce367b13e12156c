"""The Hugging Face Hub: repositories with real commits, files and revisions."""
