"""Parsers of what devices say, without I/O."""
