"""What hangs at the end of a cable: one module a UnifiedPOS device class."""
