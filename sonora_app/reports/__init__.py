"""What a call used and cost, and the report of it as one document."""
