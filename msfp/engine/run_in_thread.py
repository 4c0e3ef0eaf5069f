"""Work of a library that takes the signals for itself, done so that they come to us.

In the main thread nbclient handles Ctrl+C and SIGTERM, and what is said of one depends on where it is just then: at
times tracebacks of its own stay behind the kernel that it has ended.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

GRACE = 10.0  # seconds in which a thread notices that what it waits for is gone


def in_thread(work: Callable[[], object], stop: Callable[[], None]) -> None:
    """Do the work in a thread of its own, so that a signal comes to this one; what it raises is raised here.

    Args:
        work: what is done.
        stop: ends it, from this thread, where this one is interrupted.

    Raises:
        BaseException: what `work` raised, or what interrupted this thread, after `work` has ended or `GRACE` is over.
    """
    raised: list[BaseException] = []
    ended = threading.Event()  # a thread whose `join` was interrupted counts as ended (Python 3.11)

    def do() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            with suppress(RuntimeError):  # there is none
                asyncio.get_event_loop().close()  # which jupyter_core makes for a thread, and leaves open
            ended.set()

    try:
        threading.Thread(target=do, daemon=True).start()
        ended.wait()
    except BaseException:
        logging.disable()  # remarks that the kernel is gone
        stop()
        ended.wait(GRACE)
        logging.disable(logging.NOTSET)
        raise
    if raised:
        raise raised[0]
