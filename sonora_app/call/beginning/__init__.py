"""What a call begins with: its conversation, who holds that, and what was said before."""
