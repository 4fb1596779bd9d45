"""A folder for the front of PYTHONPATH: its `lgpio` takes the place of the C library under RPi.GPIO."""
