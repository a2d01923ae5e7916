"""`python -m density` is `density`."""

from density.cli import program

if __name__ == "__main__":
    program()
