"""The words for whoever runs Sonora, in English and Spanish."""
