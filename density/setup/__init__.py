"""Making a host ready: shell scripts that `make` runs before there is a virtual environment, and what they ask."""
