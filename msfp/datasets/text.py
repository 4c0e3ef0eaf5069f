"""Text files as they arrive: in several encodings and line ends, and sometimes no text at all."""

import codecs

from msfp.errors import InputError

BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"<", "a web page or XML, as a failed download leaves; fetch the file again"),
    (b"{", "JSON; export it as MOTChallenge text"),
)


def plain_text(data: bytes, where: str) -> bytes:
    """The text as UTF-8 without a byte order mark, each line ended by a line feed whatever ended it before.

    Args:
        where: the file's name, for messages.

    Raises:
        InputError: a file of another kind, named; text in UTF-16 or UTF-32 that is damaged.
    """
    encoding = _encoding(data)
    if encoding is not None:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError:
            raise InputError(f"{where}: text in {encoding.upper()} that is damaged; save it again as UTF-8") from None
    start = data[:64].lstrip()
    for beginning, what in OTHERS:
        if start.startswith(beginning):
            raise InputError(f"{where}: is {what}")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _encoding(data: bytes) -> str | None:
    """An encoding other than plain UTF-8, told by its mark or by where its zeros lie."""
    for mark, name in BOMS:
        if data.startswith(mark):
            return name
    odd, even = data[1:256:2].count(0), data[0:256:2].count(0)
    if 2 * odd > len(data[1:256:2]) and not even:
        return "utf-16-le"
    if 2 * even > len(data[0:256:2]) and not odd:
        return "utf-16-be"
    return None
