"""A comparison as one static, self-contained page: the verdict, the figure and the tables."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from project.work.common import UserError
from project.work.files import disk
from project.work.pages import rendering
from project.work.study import comparison_words as words
from project.work.study.comparison import Comparison
from project.work.study.comparison_plot import DARK, LIGHT, caption_of, picture

NAME, PICTURE = "compare", ".png"
TEMPLATE = Path(__file__).with_name("template")


@dataclass(frozen=True)
class Study:
    """The text of a comparison's page. facts: name -> value; command: the one that continues the comparison."""

    title: str
    facts: Mapping[str, str]
    command: str


@dataclass(frozen=True)
class Value:
    """Test accuracy of a method at a rate. best: by validation; gain: over base, as text; kind: the gain's verdict."""

    value: str
    best: bool = False
    gain: str = ""
    kind: str = ""


def write(folder: Path, comparison: Comparison, study: Study) -> Path:
    """Write the page and its figure, each whole or not at all; returns the page.

    They are compare.html and compare.png. If files of these names belong to another comparison, they are named after
    the data and the plan: compare-sample-1a2b3c4d.html. Raises UserError when another file has that name too.
    """
    light, dark = (picture(comparison, study.title, theme) for theme in (LIGHT, DARK))
    marks = _marks(comparison)
    data = page(comparison, study, light, dark).encode()
    for name in (NAME, _own_name(study, marks)):
        path = folder / f"{name}.html"
        if (_is_free(path) and _claimed(path, data)) or _is_ours(path, marks):
            disk.replace_file(path, data)
            disk.replace_file(path.with_suffix(PICTURE), light)
            return path
    raise UserError(f"{path}: is not a page of this comparison: move it away")


def _marks(comparison: Comparison) -> list[str]:
    """A short hash of each run of the plan, by which a page is recognised."""
    runs = (f"{run.method} {run.rate!r} {run.seed} {run.uuid}" for run in comparison.plan)
    return sorted({hashlib.sha256(run.encode()).hexdigest()[:8] for run in runs})


def _own_name(study: Study, marks: Sequence[str]) -> str:
    data = re.sub(r"[^\w.-]+", "_", study.facts.get("data", ""))[:60]
    plan = hashlib.sha256(" ".join(marks).encode()).hexdigest()[:8]
    return "-".join(word for word in (NAME, data, plan) if word)


def _is_free(path: Path) -> bool:
    return all(disk.absent(each) for each in (path, path.with_suffix(PICTURE)))


def _claimed(path: Path, data: bytes) -> bool:
    """Create the page; False if another comparison has just created it."""
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def _is_ours(path: Path, marks: Sequence[str]) -> bool:
    """Whether a page is of this comparison or of a part of it: all of its runs are among these."""
    if disk.fault(path) is not None:
        return False
    with open(path, "rb") as file:
        head = file.read(1000 + 9 * len(marks))
    found = re.search(rb'<meta name="runs" content="([0-9a-f ]+)">', head)
    return found is not None and set(found[1].decode().split()) <= set(marks)


def page(comparison: Comparison, study: Study, light: bytes, dark: bytes) -> str:
    """The page. light, dark: the figure as PNG, for each colour scheme."""
    done = len(comparison.plan) - len(comparison.missing)
    facts = [*(f"{name} {value}" for name, value in study.facts.items()), f"{done} of {len(comparison.plan)} runs done"]
    heading, caption = caption_of(comparison)
    return rendering.render(
        TEMPLATE,
        "compare.html",
        title=study.title,
        marks=_marks(comparison),
        facts=map(_text, facts),
        verdict=_verdict(comparison),
        heading=heading,
        caption=caption,
        light=_url(light),
        dark=_url(dark),
        rates=[words.noise(rate) for rate in comparison.rates],
        matrix=[
            (method, [_value(comparison, method, rate) for rate in comparison.rates]) for method in comparison.ordered()
        ],
        header=words.HEADER,
        lines=[[_text(cell) for cell in line] for line in words.lines(comparison)],
        reading=_text(words.READING),
        missing=words.missing(comparison),
        command=study.command,
    )


def _text(plain: str) -> str:
    return plain.replace(" +- ", " \u00b1 ")


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _verdict(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each rate a heading and its sentences, each with its kind: gain, loss, unshown or alone."""
    return [
        (_text(heading), [(comparison.gain(method, rate).verdict, _text(each)) for method, each in said])
        for rate, heading, said in words.verdict(comparison)
    ]


def _value(comparison: Comparison, method: str, rate: float) -> Value:
    cell, gain = comparison.cell(method, rate), comparison.gain(method, rate)
    if cell is None:
        return Value("missing" if comparison.planned(method, rate) else "")
    best, value = comparison.best(rate) == method, _text(words.percent(cell.test))
    return Value(value, best) if gain is None else Value(value, best, _text(words.signed(gain.points)), gain.verdict)
