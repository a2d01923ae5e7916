"""What one more instance costs, and so where each ceiling lies."""
