"""What stays after a run: the result document and the summary."""
