"""The virtual counter: shoppers, bench and broker around the real daemon."""
