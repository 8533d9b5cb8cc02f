"""Names and titles of files of others on their way into LaTeX and Markdown: there they are text, and nothing else."""

from __future__ import annotations

import re

from imfuse.core.text import one_line

_LATEX = str.maketrans(
    {"_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
     "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}", ">": r"\textgreater{}",
     "|": r"\textbar{}", '"': r"\symbol{34}", "`": r"\symbol{96}",
     # At the begin of a row they would belong to the \\ of the row before.
     "[": "{[}", "*": "{*}"}
)  # fmt: skip
_MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", **{mark: "\\" + mark for mark in "\\`*[]|$~{}!#"}}
)
_LINK = re.compile(r"(?<=\w)(:(?=//)|(?<=\bwww)\.)", re.IGNORECASE)
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def latex(text: str) -> str:
    r"""One line of LaTeX that prints the text.

    >>> print(latex("50 % of a_1"), latex(r"\input{x}"))
    50 \% of a\_1 \textbackslash{}input\{x\}
    """
    return one_line(text).translate(_LATEX)


def latex_label(text: str) -> str:
    r"""What a ``\label`` may hold of a name.

    >>> latex_label("my set}{x_1")
    'my-set-x_1'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text)


def markdown(text: str) -> str:
    r"""One line of Markdown that shows the text: neither HTML nor a link, and no cell of a table ends in it.

    >>> print(markdown("a_b|c"), markdown("<b>"), markdown("_x_"))
    a_b\|c &lt;b&gt; \_x\_
    """
    escaped = one_line(text).translate(_MARKDOWN)
    # Within a word an underscore is an underscore.
    escaped = _OUTER_UNDERSCORE.sub(r"\\_", escaped)
    return _LINK.sub(lambda match: f"&#{ord(match[0])};", escaped)
