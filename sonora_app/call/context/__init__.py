"""What the model is told besides the turns: memory, documents, pictures and fixed lines."""
