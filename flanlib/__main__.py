"""`python -m flanlib`."""

import sys

if __name__ == "__main__":
    try:
        from flanlib.commands.cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # while Python was still reading the modules
        sys.exit(130)
