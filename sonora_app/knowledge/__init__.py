"""What Sonora can look up: documents, cut into passages that can be searched and read out."""
