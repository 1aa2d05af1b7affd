"""Adjustments to Python, to the audio and to the log. Nothing here knows of conversations."""
