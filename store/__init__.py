"""What must not be lost: database, journal, outbox, catalogue, keys, backup."""
