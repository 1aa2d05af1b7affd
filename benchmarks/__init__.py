"""Sonora beside the bot that `pipecat init` scaffolds, on the same simulated vendors.

uv run python -m benchmarks --help
"""
