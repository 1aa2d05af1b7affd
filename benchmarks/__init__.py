"""Measurements of Sonora, each a program: `uv run python -m benchmarks.NAME`."""
