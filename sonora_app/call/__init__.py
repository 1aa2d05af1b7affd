"""One call, from its transport to its farewell."""
