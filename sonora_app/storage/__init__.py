"""What is remembered: records, the recorder that makes them, and the stores that keep them."""
