"""One thread where results are kept: sums then have one order, whatever the machine and the number of workers.

A convolution split over two threads rounds its last bit otherwise. Several cores are used by several workers.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold PyTorch and OpenCV, where they are loaded, to one thread."""
    torch, cv2 = sys.modules.get("torch"), sys.modules.get("cv2")
    threads = torch.get_num_threads() if torch else 1
    others = cv2.getNumThreads() if cv2 else 1
    if torch:
        torch.set_num_threads(1)
    if cv2:
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        if cv2:
            cv2.setNumThreads(others)
