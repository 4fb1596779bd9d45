"""`python -m bench`: measures every figure that is quoted."""

import sys

import bench
from bench.runner import main

if __name__ == "__main__":
    sys.exit(main(bench, "BENCHES"))
