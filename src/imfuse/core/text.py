"""Text from outside, such as the name of a file, on its way to a terminal or a log."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""Text with every character escaped that a terminal would act on instead of showing it.

    Those are control characters (a line break, ESC), marks of the direction of writing, other invisible ones, and bytes
    of a file name that are no text. A name can neither forge a line nor hide a part of itself.

    Args:
        text: anything; its ``str`` is taken.

    Returns:
        The same characters where they are printable; ``\n``, ``\x1b``, ``\u202e``, ... for the others.

    Example:
        >>> print(printable("night\n\x1b[2Jimfuse: done\u202egnp.exe"))
        night\n\x1b[2Jimfuse: done\u202egnp.exe
        >>> print(printable("夜 01.png"))
        夜 01.png
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in shown
    )


def one_line(text: object) -> str:
    """Text of several lines as one, its white space collapsed, and the rest as ``printable`` shows it.

    For messages. In a name white space counts: use ``printable``.

    Args:
        text: anything; its ``str`` is taken.

    Returns:
        One printable line.

    Example:
        >>> one_line("damaged:\\n   it ends too early")
        'damaged: it ends too early'
    """
    return printable(" ".join(str(text).split()))


def shortened(text: str, most: int = 80) -> str:
    """The begin of a text from outside as ``printable`` shows it, for names that may be of any length.

    Args:
        text: a name. Of a structure take ``reprlib.repr``, which stays short however much there is in lists of lists.
        most: how many characters of it are shown; an ellipsis stands for the rest.

    Returns:
        One short printable line.

    Example:
        >>> shortened("conv.weight"), shortened("w" * 100, most=5)
        ('conv.weight', 'wwwww…')
    """
    return printable(text[:most]) + ("…" if len(text) > most else "")
