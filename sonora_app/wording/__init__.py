"""What is said to whoever runs Sonora, in English and Spanish."""
