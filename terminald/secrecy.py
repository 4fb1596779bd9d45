"""Keeps what a process holds in memory out of core files and from debuggers, and wipes a secret where it lies."""

import ctypes
import resource

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """From here on this process leaves no core file, and none but root looks into it (prctl(2), PR_SET_DUMPABLE).

    A program that it starts begins anew: it has none of our memory. Swap is the unit's affair (`MemorySwapMax=0`).
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the process cannot be kept from leaving a core file")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if soft != 0:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        except OSError:
            pass  # a unit that forbids the call has set the limit itself; and the kernel heeds what was said above


def overwrite(secret: bytes) -> None:
    """Zeroes a bytes object in place, which must be nobody else's: its buffer lies behind its header (bytesobject.h)."""
    ctypes.memset(id(secret) + bytes.__basicsize__ - 1, 0, len(secret))
