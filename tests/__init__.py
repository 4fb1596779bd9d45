"""Tests mirror the packages; proofs hold what `make prove` runs."""
