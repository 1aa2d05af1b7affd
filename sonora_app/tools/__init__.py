"""What the bot can do besides talking: tools that the model calls."""
