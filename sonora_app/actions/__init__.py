"""What a page may ask for, and how the bot answers it."""
