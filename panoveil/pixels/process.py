"""What a process that works on pictures asks of its libraries, once, before it starts."""

import ctypes

import cv2

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 2**31 - 1


def prepare() -> None:
    """Leave threads to our own pools, and keep freed memory: a picture's pages, fetched afresh from the kernel, cost more than its remap.

    Pools do better than OpenCV's threads because a strip stays in one core's cache. Without glibc the memory is handled as ever.
    """
    cv2.setNumThreads(1)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST)
