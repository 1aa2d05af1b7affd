"""What is done to Python, the audio and the log; it knows nothing of conversations."""
