"""What goes wrong for a person: one message that names the thing and the remedy."""

import difflib
from collections.abc import Iterable


class MsfpError(Exception):
    """Any error a user can mend; the CLI prints its message and exits with 2, without a traceback.

    Example:
        >>> issubclass(msfp.InputError, msfp.MsfpError) and issubclass(msfp.NotComputable, msfp.MsfpError)
        True
    """


class InputError(MsfpError):
    """A file or parameter is not what it has to be: the message names file, line or parameter, and the remedy.

    Example:
        >>> try:
        ...     msfp.open("demoo")
        ... except msfp.InputError as error:
        ...     print(error)
        profile 'demoo' is not known; there are: smoke, demo, mot17, full
    """


class NotComputable(MsfpError):
    """A result cannot be had from what is there; the message is the reason a table cell shows.

    Example:
        >>> try:
        ...     msfp.auc(np.array([0.5]), np.array([True]))
        ... except msfp.NotComputable as error:
        ...     print(type(error).__name__)
        NotComputable
    """


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'bytetrack'?`, to end a message with; empty where no known word is like this one."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else ""


def each_once(reasons: Iterable[str]) -> str:
    """Reasons as one text, each said once, although some of them are several already, parted by semicolons."""
    return "; ".join(dict.fromkeys(one for text in reasons for one in text.split("; ") if one))
