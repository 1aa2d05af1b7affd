"""Everything that extends a Cartesia class of Pipecat, and the speech that calls share."""
