"""Keeps the daemon small on a small computer."""

import ctypes

M_ARENA_MAX = -8
"""mallopt(3)."""


def share_one_heap() -> None:
    """glibc would give each thread a heap of its own, and none gives back what another could use. Elsewhere: nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
