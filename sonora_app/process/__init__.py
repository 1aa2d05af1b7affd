"""What a process has once for all its calls: its store, its warm-up, the development runner."""
