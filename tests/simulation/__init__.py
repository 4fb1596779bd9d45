"""A shop, its broker and its headquarters on virtual time: one seed, one run, the same each time.

What runs is the product: engine, journal (the real database, written inline), forwarder, telemetry and uplink over paho,
the collector and its database. Played are the clock, the plug, the network, the broker, the devices and the people.
"""
