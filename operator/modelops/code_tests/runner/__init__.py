"""The process in the sandbox. It imports the standard library alone, because nothing else of ours is in there."""
