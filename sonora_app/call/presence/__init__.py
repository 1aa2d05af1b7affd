"""The person at the other end: whether they are there, who speaks, and what was heard."""
