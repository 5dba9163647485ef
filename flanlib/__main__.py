"""`python -m flanlib`."""

import sys

from flanlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
