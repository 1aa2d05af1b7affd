"""Tells by its words whether a sentence goes on; the words are data, by language."""
