"""Feed-forward networks that paint in one style at once."""
