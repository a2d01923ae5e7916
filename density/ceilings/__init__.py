"""What can stop a run: the catalogue of ceilings, how near each is, and which one it was."""
