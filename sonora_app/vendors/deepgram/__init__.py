"""Everything that extends a Deepgram class of Pipecat."""
