"""What brings a call to its end, and what sums it up."""
