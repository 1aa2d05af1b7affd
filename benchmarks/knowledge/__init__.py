"""How well passages are found in manuals that nobody here wrote, and what a search costs."""
