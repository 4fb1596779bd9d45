"""The far end of each cable, for demonstrations and tests."""
