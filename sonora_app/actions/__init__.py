"""What the page may ask for, and what is done about it."""
