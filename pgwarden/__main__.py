"""`python3 -m pgwarden`: the command line."""

import sys

from pgwarden.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
