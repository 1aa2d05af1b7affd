"""Tells from its last words whether a sentence goes on, by a list of words for each language."""
