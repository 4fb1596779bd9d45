"""What is promised, shown: one module for each property, run by `make prove`."""
