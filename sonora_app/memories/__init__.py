"""What is remembered of people: how it is told to the model, kept, replaced and forgotten."""
