"""The conversation as data: `sonora.yaml`, the lines it speaks, and the handlers it names."""
