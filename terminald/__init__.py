"""The daemon: puts core, drivers and store together and keeps them running."""
