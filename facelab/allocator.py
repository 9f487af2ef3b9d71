"""Keeping freed memory: large tensors come and go with every picture, and giving their pages back costs more than the
arithmetic on them (up to a third of the time on a CPU went into page faults).
"""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
M_ARENA_MAX = -8
KEPT_BYTES = 512 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc to serve large blocks from one heap for all threads, and to keep up to 512 MB of what is freed there.

    Call it before threads begin: each would have a heap of its own and give its pages back. Returns whether there was
    a glibc to tell; elsewhere nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return False
    return all(mallopt(*option) for option in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEPT_BYTES), (M_ARENA_MAX, 1)))
