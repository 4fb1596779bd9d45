"""The merchant's screen."""
