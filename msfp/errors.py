"""What goes wrong for a person: one message that names the thing and the remedy."""

from collections.abc import Iterable


class MsfpError(Exception):
    """Any error a user can mend; the CLI prints its message and exits with 2, without a traceback."""


class InputError(MsfpError):
    """A file or parameter is not what it has to be: the message names file, line or parameter, and the remedy."""


class NotComputable(MsfpError):
    """A result cannot be had from what is there; the message is the reason a table cell shows."""


def each_once(reasons: Iterable[str]) -> str:
    """Reasons as one text, each said once, although some of them are several already, parted by semicolons."""
    return "; ".join(dict.fromkeys(one for text in reasons for one in text.split("; ") if one))
