"""HTML of values, tables that sort, and lists."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np


def text(value: object) -> str:
    """A value as HTML text, quotes escaped too."""
    return html.escape(str(value), quote=True)


def fact(value: Any) -> str:
    """A number of an audit.json: a fraction is a share, or a figure in 0..1 such as AUROC, and stands in percent."""
    return f"{value:.1%}" if isinstance(value, float) and not np.isnan(value) else number(value)


def number(value: Any) -> str:
    """1234567 -> 1,234,567; 0.07349 -> 0.0735; anything else as it is; what is not known as nothing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def cell(name: str, value: Any) -> str:
    """A cell of a sortable table; rates and shares in percent. name: of its column."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return '<td class=number data-value=""></td>'
    if isinstance(value, (float, np.floating)) and ("rate" in name or "share" in name):
        return f'<td class=number data-value="{value:.6g}">{value:.1%}</td>'
    if isinstance(value, (int, float, np.integer, np.floating)):
        return f'<td class=number data-value="{value}">{number(value)}</td>'
    return f"<td>{text(value)}</td>"


def sortable(name: str, columns: Sequence[str], body: Sequence[str]) -> str:
    """A table whose headings are buttons. body: its lines."""
    heads = "".join(
        f"<th scope=col><button class=sort>{text(column.replace('_', ' '))}</button></th>" for column in columns
    )
    return f"<table class=sortable id={name}><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def listed(lines: Sequence[str], count: int, one: str, many: str = "") -> str:
    """The first of so many things, one a line. one, many: what they are called."""
    if count == 0:
        return f"<p>No {one}.</p>"
    more = f"<p>and {count - len(lines):,} more, in audit.csv</p>" if count > len(lines) else ""
    head = f"<p>{count:,} {one if count == 1 else many or one + 's'}:</p>"
    return f"{head}<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>{more}"
