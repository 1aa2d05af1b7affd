"""The conversation as data: drives a call through the flow's YAML, and draws it."""
