"""A page holds what it is given as text: nothing in a name or in data can become part of the page."""

import json
import re
from pathlib import Path

import numpy as np

from project.work.pages.rendering import Cell, cell, render

EVIL = "</script><script>alert(1)</script><!-- & 'quotes' \u732b"
TEMPLATE = """{% extends "base.html" %}{% from "tables.html" import td %}
{% block main %}<p>{{ name }}</p>{{ td(given) }}
<script type="application/json">{{ data | tojson }}</script>{% endblock %}"""


def test_names_and_data_are_escaped_and_come_back_whole(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(TEMPLATE)
    page = render(tmp_path, "page.html", title=EVIL, name=EVIL, given=Cell(EVIL), data={"name": EVIL})
    assert len(re.findall("</?script", page)) == 2
    assert "<!--" not in page
    assert json.loads(re.search(r'json">(.*?)</script>', page)[1]) == {"name": EVIL}
    assert "default-src 'none'" in page


def test_cells_show_shares_in_percent_and_sort_by_the_number() -> None:
    assert cell("flagged_share", np.float64(0.4)) == Cell("40.0%", "0.4")
    assert cell("count", np.int64(1234)) == Cell("1,234", "1234")
    assert cell("share", float("nan")) == Cell("", "")
    assert cell("name", "ant") == Cell("ant")
