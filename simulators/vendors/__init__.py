"""The vendors' side of the wire, on loopback: Deepgram, OpenAI and Cartesia.

Each speaks what Pipecat's service class of that vendor really uses, keeps a log of what it was
asked with monotonic times, and behaves as its attributes say, which may be set while it serves.
"""
