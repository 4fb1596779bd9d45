"""The rules of a till, pure: no clock, no socket, no file."""
