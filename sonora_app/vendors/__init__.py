"""The vendors' services: Deepgram, OpenAI and Cartesia, and what takes over when one fails."""
