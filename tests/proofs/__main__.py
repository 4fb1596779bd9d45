"""`python -m tests.proofs`: shows every property that is promised."""

import sys

import tests.proofs
from bench.runner import main

if __name__ == "__main__":
    sys.exit(main(tests.proofs, "PROOFS"))
