"""``python -m terminald``: the same as the command `terminald`."""

import sys

from terminald.cli import main

sys.exit(main())
