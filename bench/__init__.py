"""Every figure that is quoted, as a ratio against a named peer in the same run."""
