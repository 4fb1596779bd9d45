"""Thousands of terminals in one process, to size a broker and a database before they are bought."""
