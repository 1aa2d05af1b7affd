"""What is kept of conversations: the records, the recorder that makes them, and the stores."""
