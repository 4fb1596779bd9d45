"""Headquarters: collector, its database, commands, live view."""
