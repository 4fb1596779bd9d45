"""A layer below a real process that counts what it does to the disk, and stops or fails it there."""
