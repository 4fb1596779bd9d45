"""A medium whose flushes take longer, for a process of one's own: a preloaded library around fsync and fdatasync."""

from tests.shim.boundary import library


def environment(flush_us: int) -> dict[str, str]:
    """The variables under which a child's flushes take `flush_us` longer. Raises CannotRun without a C compiler."""
    return {"LD_PRELOAD": str(library()), "SHIM_FLUSH_US": str(flush_us)}
