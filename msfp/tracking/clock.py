"""When frames were, for videos whose frames do not come at a constant rate."""

from collections import deque

from msfp.errors import InputError

ROUNDING = 1e-6  # seconds: a frame as old as the buffer is not older for the last digit's sake


class Clock:
    """Times of the last frames; false as long as no frame had one."""

    def __init__(self, name: str) -> None:
        """Take the tracker's name, for messages."""
        self._name = name
        self._times: deque[tuple[int, float]] = deque()

    def __bool__(self) -> bool:
        return bool(self._times)

    def tick(self, frame: int, seconds: float | None) -> None:
        """Note when a frame was, if it has a time.

        Raises:
            InputError: before the last one.
        """
        if seconds is None:
            return
        if self._times and not seconds >= self._times[-1][1]:
            raise InputError(
                f"{self._name}, frame {frame}: {seconds:g} s lies before the last frame's {self._times[-1][1]:g} s; "
                "give times in ascending order, or call reset()"
            )
        self._times.append((frame, seconds))

    def pass_over(self, frame: int, following: int, seconds: float | None) -> None:
        """Note a frame that is not there, evenly between the last one and the one that follows at a time."""
        if self._times and seconds is not None:
            last, before = self._times[-1]
            self.tick(frame, before + (seconds - before) * (frame - last) / (following - last))

    def frames_in(self, seconds: float) -> int:
        """How many frames before the last one lie within so many seconds of it; earlier ones are forgotten."""
        frame, now = self._times[-1]
        while self._times[0][1] < now - seconds - ROUNDING:
            self._times.popleft()
        return frame - self._times[0][0]
