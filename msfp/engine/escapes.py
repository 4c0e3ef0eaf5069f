"""Texts written into CSV and Markdown so that whatever opens the file shows them and obeys none of them."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?|[+-]?(inf|nan)", re.IGNORECASE)
MARKS = re.compile(r"[\\`*_|<]")
CODE = re.compile(r"(`[^`\n]+`)")


def csv_cell(text: str) -> str:
    """A cell that spreadsheets take for no formula: an apostrophe before what begins like one; numbers stay numbers."""
    text = text.replace("\r\n", "\n").replace("\r", " ")  # a lone one would end the line, unquoted
    formula = text.startswith(("=", "@", "\t")) or (text.startswith(("+", "-")) and not NUMBER.fullmatch(text))
    return f"'{text}" if formula else text


def csv_frame(frame: "pd.DataFrame") -> str:
    """A frame as CSV whose texts, heads among them, are no formulas."""
    safe = frame.map(lambda value: csv_cell(value) if isinstance(value, str) else value)
    safe.columns = [csv_cell(str(name)) for name in frame.columns]
    return str(safe.to_csv(index=False, lineterminator="\n"))


def md_cell(text: str) -> str:
    """A text of Markdown on one line, shown as it is; in a table's cell too."""
    return MARKS.sub(r"\\\g<0>", " ".join(text.splitlines()) if "\n" in text or "\r" in text else text)


def md_text(text: str) -> str:
    """As `md_cell`, `so` in code type."""
    one = " ".join(text.splitlines())
    return "".join(part if k % 2 else md_cell(part) for k, part in enumerate(CODE.split(one)))
