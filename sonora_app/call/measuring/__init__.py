"""What a call used and how long its answers took: counts, spans and the log's lines."""
