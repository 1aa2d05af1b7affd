"""Everything that extends a Cartesia class of Pipecat, and the speech it keeps."""
