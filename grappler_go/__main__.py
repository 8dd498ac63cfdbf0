"""`python -m grappler_go ...` is the command grappler-go."""

import sys

from grappler_go.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
