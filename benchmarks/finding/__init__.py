"""How long it takes to list conversations, to find some, and to add up their calls."""
