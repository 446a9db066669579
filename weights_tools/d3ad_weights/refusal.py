"""What is wrong with an input, in one sentence that says what was expected, what came and what to do.

    raise Refusal("'x.pth' is empty; get it anew")       # the program prints it and ends with code 2
    nearest(names, "conv.weight")                        # "; the nearest is 'conv1.weight'"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Refusal(Exception):
    """An input that cannot be used; its text is for the user."""


def printable(name: str) -> str:
    """A name from a file, fit for a terminal: no control characters, not endless."""
    text = "".join(c if c.isprintable() else "?" for c in name[:160])
    return text + "..." if len(name) > 160 else text


def nearest(names: Iterable[str], wanted: str, count: int = 1) -> str:
    """The names most like one that was not found, as the end of a sentence; nothing where none is like it."""
    found = difflib.get_close_matches(wanted, list(names), n=count, cutoff=0.4)
    if not found:
        return ""
    listed = ", ".join(f"'{printable(name)}'" for name in found)
    return f"; the nearest {'is' if len(found) == 1 else 'are'} {listed}"
