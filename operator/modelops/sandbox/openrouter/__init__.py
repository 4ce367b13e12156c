"""A loopback OpenRouter: a priced catalogue and chat completions of small honest algorithms."""
