"""One module a command; each holds one Click command of its own name."""
