"""What was kept, what people said about it, and who saw it."""
