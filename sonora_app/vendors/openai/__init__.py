"""Everything that extends an OpenAI class of Pipecat."""
