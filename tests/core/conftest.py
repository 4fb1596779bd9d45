"""Properties are checked without a deadline for each example: on a shared machine it would measure its neighbours."""

from hypothesis import settings

settings.register_profile("counter", deadline=None)
settings.load_profile("counter")
