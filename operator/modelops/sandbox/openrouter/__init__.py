"""An imitation of OpenRouter: a catalogue with prices, and chat completions by small algorithms."""
