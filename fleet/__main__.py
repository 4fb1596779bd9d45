"""``python -m fleet``: the same as the command `terminald-fleet`."""

import sys

from fleet.cli import main

sys.exit(main())
