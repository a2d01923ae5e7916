"""`python -m density` is `density`."""

import sys

from density.cli import main

if __name__ == "__main__":
    sys.exit(main())
