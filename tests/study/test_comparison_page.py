"""The page of a comparison is one file that shows every figure and loads nothing from elsewhere."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from project.work.common import UserError
from project.work.study import comparison_page, comparison_plot
from project.work.study.comparison import Comparison, Measured, Planned
from project.work.study.comparison_page import Study
from project.work.study.comparison_plot import LIGHT, picture

STUDY = Study("doodles <3 seeds>", {"epochs": "2"}, "./inv compare --method 'base,elr'")


def comparison(methods: list[str], rates: tuple[float, ...] = (0.0, 0.4), seeds: int = 2) -> Comparison:
    places = [(method, rate, seed) for method in methods for rate in rates for seed in range(seeds)]
    plan = [Planned(*place, "-".join(map(str, place))) for place in places]
    done = {run.uuid: Measured(0.5, 0.5 + 0.1 * run.seed, 0.4, 9, run.rate) for run in plan if run.method != "late"}
    return Comparison(plan, done)


class Tags(HTMLParser):
    """Collects what a page opens and closes, and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.slow
def test_the_page_and_the_picture_are_written_whole_and_alone(tmp_path: Path) -> None:
    path = comparison_page.write(tmp_path, comparison(["base", "elr", "late"]), STUDY)
    page, tags = path.read_text(), Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.links) == 2
    assert all(link.startswith("data:image/png;base64,") for link in tags.links)
    assert "doodles &lt;3 seeds&gt;" in page
    assert "late at noise 40%: seeds 0, 1" in page
    assert "8 of 12 runs done" in page
    assert "./inv compare --method &#39;base,elr&#39;" in page
    assert len(re.findall("<th scope=row>elr</th>", page)) == 3  # a line for both rates, and one for each
    assert Image.open(tmp_path / "compare.png").size[0] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("methods", [["base"], ["base", "elr"], ["late", "base"], ["base", *"abcdefghij"]])
@pytest.mark.parametrize(("rates", "seeds"), [((0.0, 0.2, 0.4), 2), ((0.4,), 1)])
def test_any_number_of_methods_rates_and_seeds_is_drawn(methods: list[str], rates: tuple, seeds: int) -> None:
    image = Image.open(io.BytesIO(picture(comparison(methods, rates, seeds), "t", LIGHT))).convert("L")
    low, high = image.getextrema()
    assert low < 100 < 250 < high


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages whose pictures take no time to draw."""
    monkeypatch.setattr(comparison_page, "picture", lambda comparison, title, theme: title.encode())


@pytest.mark.usefixtures("quick")
def test_no_page_takes_the_place_of_another_studys(tmp_path: Path) -> None:
    first = comparison_page.write(tmp_path, comparison(["base", "elr"]), STUDY)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("compare*")}
    assert before.keys() == {"compare.html", "compare.png"}
    study = Study("others", {"data": "a/b \u732b"}, "./inv compare")
    second = comparison_page.write(tmp_path, comparison(["base", "gce"]), study)
    assert re.fullmatch(r"compare-a_b_\u732b-[0-9a-f]{8}\.html", second.name)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert comparison_page.write(tmp_path, comparison(["base", "gce"]), study) == second
    assert second.with_suffix(".png").exists()
    grown = comparison_page.write(tmp_path, comparison(["base", "elr", "late"], seeds=3), STUDY)
    assert grown == first  # it has all runs that the page had
    assert comparison_page.write(tmp_path, comparison(["base", "elr"]), STUDY) != first


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["compare.html", "compare.png"])
def test_no_page_takes_the_place_of_a_persons_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    page = comparison_page.write(tmp_path, comparison(["base"]), STUDY)
    assert page.name.startswith("compare-")
    assert [path.read_text() for path in tmp_path.glob("compare.*")] == ["mine"]
    page.write_text("mine")
    with pytest.raises(UserError, match="is not a page of this comparison: move it away"):
        comparison_page.write(tmp_path, comparison(["base"]), STUDY)


def test_one_rate_is_one_panel_and_a_lone_dot_gets_none() -> None:
    one = comparison(["base", "elr", "gce"], (0.4,))
    assert (comparison_plot.lined(one), comparison_plot.compared(one)) == ([], [0.4])
    places = [(method, 0.4, 0) for method in ("base", "elr", "gce", "sam")] + [("base", 0.0, 0), ("elr", 0.0, 0)]
    plan = [Planned(*place, "-".join(map(str, place))) for place in [*places, ("base", 0.2, 0)]]
    most = Comparison(plan, {run.uuid: Measured(0.5, 0.5, 0.4, 9, run.rate) for run in plan})
    assert comparison_plot.lined(most) == ["elr"]  # gce and sam have no line to draw
    assert comparison_plot.compared(most) == [0.0, 0.4]  # 0.2 has base alone


def test_times_are_rounded_alike_in_sentences_and_tables(tmp_path: Path) -> None:
    plan = [Planned(method, 0.4, 0, method) for method in ("base", "elr")]
    done = {"base": Measured(0.5, 0.5, 0.4, 100, 0.4), "elr": Measured(0.5, 0.6, 0.4, 137, 0.4)}
    page = comparison_page.write(tmp_path, Comparison(plan, done), STUDY).read_text()
    assert "for 1.4x the time" in page
    assert "<td>1.4x</td>" in page
    assert "1.37x" not in page
