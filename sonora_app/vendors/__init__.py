"""The vendors' services: Deepgram, OpenAI and Cartesia, and the fallback when one of them fails."""
