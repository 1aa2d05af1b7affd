"""Sonora: a voice agent that people talk to in the browser, and that remembers what was said."""

__version__ = "0.1.0"
