"""Tells from what the bot has just asked what kind of answer comes, by words for each language."""
