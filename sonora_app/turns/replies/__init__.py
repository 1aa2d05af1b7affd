"""Tells short replies by their words, by lists of words for each language."""
