"""The conversation as data: drives a call through the YAML of the flow, and draws the flow."""
