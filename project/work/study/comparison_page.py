"""A comparison as one static page: the verdict, the picture and the tables, with nothing to load from elsewhere."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from project.work import files
from project.work.dataset import storage
from project.work.declaration import UserError
from project.work.study import comparison_words as words
from project.work.study.comparison import Comparison
from project.work.study.comparison_plot import DARK, LIGHT, picture

NAME, PICTURE = "compare", ".png"
STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --soft: #5f5f5f; --line: #d9d9d9; --gain: #005f94;
  --loss: #a84300; --card: #f6f7f8 }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --paper: #16181c; --soft: #b4b4b4; --line: #3a3d44;
  --gain: #6cc0ee; --loss: #f0a63c; --card: #1f2228 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 78rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0.2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
p.facts, p.reading, figcaption { color: var(--soft) } p { max-width: 60rem }
section.verdict { background: var(--card); border-radius: 8px; padding: 0.6rem 1.2rem; margin: 0.8rem 0 }
section.verdict h3 { font-size: 1rem; margin: 0.4rem 0 } ul { margin: 0.3rem 0; padding-left: 1.2rem }
img { max-width: 100%; height: auto } figure { margin: 0 }
div.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid var(--soft) }
td small { display: block; color: var(--soft) } .gain { color: var(--gain) } .loss { color: var(--loss) }
td small.gain { color: var(--gain) } td small.loss { color: var(--loss) }
tr.first td { border-top: 2px solid var(--soft) } code { background: var(--card); padding: 0.1rem 0.3rem }
pre { background: var(--card); padding: 0.7rem 1rem; overflow-x: auto; border-radius: 8px }
"""


@dataclass(frozen=True)
class Study:
    """What is said of a comparison beside its numbers. facts: name -> value; command: what goes on with it."""

    title: str
    facts: Mapping[str, str]
    command: str


def write(folder: Path, comparison: Comparison, study: Study) -> Path:
    """Write the page and its picture, each whole or not at all; returns the page.

    They are compare.html and compare.png, unless what is there under these names is not of this comparison or of a part
    of it; then they are named after the data and the plan: compare-sample-1a2b3c4d.html. Raises UserError where another
    file has that name too.
    """
    light, dark = (picture(comparison, study.title, theme) for theme in (LIGHT, DARK))
    marks = _marks(comparison)
    data = page(comparison, study, light, dark).encode()
    for name in (NAME, _own_name(study, marks)):
        path = folder / f"{name}.html"
        if (_is_free(path) and _claimed(path, data)) or _is_ours(path, marks):
            storage.replace_file(path, data)
            storage.replace_file(path.with_suffix(PICTURE), light)
            return path
    raise UserError(f"{path}: is not a page of this comparison: move it away")


def _marks(comparison: Comparison) -> list[str]:
    """A short name for each run of the plan, by which a page is known again."""
    runs = (f"{run.method} {run.rate!r} {run.seed} {run.uuid}" for run in comparison.plan)
    return sorted({hashlib.sha256(run.encode()).hexdigest()[:8] for run in runs})


def _own_name(study: Study, marks: Sequence[str]) -> str:
    data = re.sub(r"[^\w.-]+", "_", study.facts.get("data", ""))[:60]
    plan = hashlib.sha256(" ".join(marks).encode()).hexdigest()[:8]
    return "-".join(word for word in (NAME, data, plan) if word)


def _is_free(path: Path) -> bool:
    return all(files.absent(each) for each in (path, path.with_suffix(PICTURE)))


def _claimed(path: Path, data: bytes) -> bool:
    """Make the page, unless another comparison has just done so."""
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def _is_ours(path: Path, marks: Sequence[str]) -> bool:
    """Whether a page is of this comparison, or of one that has grown into it: all of its runs are among these."""
    if files.fault(path) is not None:
        return False
    with open(path, "rb") as file:
        head = file.read(1000 + len(_runs_of(marks)))
    found = re.search(rb'<meta name="runs" content="([0-9a-f ]+)">', head)
    return found is not None and set(found[1].decode().split()) <= set(marks)


def _runs_of(marks: Sequence[str]) -> str:
    """What a page says of which runs it is."""
    return f'<meta name="runs" content="{" ".join(marks)}">'


def page(comparison: Comparison, study: Study, light: bytes, dark: bytes) -> str:
    """The page. light, dark: the picture as PNG, for either colour scheme."""
    done = len(comparison.plan) - len(comparison.missing)
    facts = [*(f"{name} {value}" for name, value in study.facts.items()), f"{done} of {len(comparison.plan)} runs done"]
    parts = [
        f"<h1>{escape(study.title)}</h1>",
        f'<p class="facts">{_text("; ".join(facts))}</p>',
        "<h2>What it comes to</h2>",
        *_verdict(comparison),
        "<h2>Accuracy against noise</h2>",
        _figure(light, dark),
        "<h2>Test accuracy (%) by noise rate</h2>",
        _matrix(comparison),
        '<p class="reading">Bold: the best by validation at that rate. Small: the gain over base.</p>',
        "<h2>All figures</h2>",
        _details(comparison),
        f'<p class="reading">{_text(words.READING)}</p>',
        *_missing(comparison, study),
    ]
    head = f'<meta charset="utf-8">{_runs_of(_marks(comparison))}<meta name="viewport" content="width=device-width">'
    head += f"<title>{escape(study.title)}"
    return f'<!doctype html>\n<html lang="en"><head>{head}</title><style>{STYLE}</style></head>\n<body>\n' + (
        "\n".join(parts) + "\n</body></html>\n"
    )


def _text(plain: str) -> str:
    return escape(plain.replace(" +- ", " ± "))


def _verdict(comparison: Comparison) -> list[str]:
    found = []
    for rate, heading, said in words.verdict(comparison):
        gains = {method: comparison.gain(method, rate) for method, _ in said}
        items = "".join(f'<li class="{gains[method].verdict}">{_text(each)}</li>' for method, each in said)
        found.append(f'<section class="verdict"><h3>{_text(heading)}</h3><ul>{items}</ul></section>')
    return found or ["<p>No run is finished yet.</p>"]


def _figure(light: bytes, dark: bytes) -> str:
    bright, dim = (f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (light, dark))
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dim}">'
        f'<img src="{bright}" alt="Test accuracy of each method against the noise rate, and its gain over base; the'
        ' tables below hold the same figures"></picture><figcaption>Lines: mean over seeds; bands: standard deviation.'
        " Methods stand in order of their test accuracy at the highest noise rate. Filled points: a gain (blue) or"
        " a loss (orange) that is shown; hollow: not shown.</figcaption></figure>"
    )


def _matrix(comparison: Comparison) -> str:
    """A line a method, a column a rate: accuracy at the selected epoch, and below it the gain."""
    rows = []
    for method in comparison.ordered():
        cells = [_accuracy(comparison, method, rate) for rate in comparison.rates]
        rows.append([_text(method), *cells])
    return _table(["method", *(f"noise {words.noise(rate)}" for rate in comparison.rates)], rows)


def _accuracy(comparison: Comparison, method: str, rate: float) -> str:
    cell, gain = comparison.cell(method, rate), comparison.gain(method, rate)
    if cell is None:
        return "missing" if comparison.planned(method, rate) else ""
    mark = "" if gain is None else f'<small class="{gain.verdict}">{_text(words.signed(gain.points))}</small>'
    value = _text(words.percent(cell.test))
    return (f"<b>{value}</b>" if comparison.best(rate) == method else value) + mark


def _details(comparison: Comparison) -> str:
    rows = words.lines(comparison)
    fresh = [at == 0 or row[1] != rows[at - 1][1] for at, row in enumerate(rows)]
    return _table(words.HEADER, [[_text(cell) for cell in row] for row in rows], fresh)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], fresh: Sequence[bool] = ()) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in header)
    lines = []
    for at, row in enumerate(rows):
        opening = '<tr class="first">' if at and at < len(fresh) and fresh[at] else "<tr>"
        lines.append(opening + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _missing(comparison: Comparison, study: Study) -> list[str]:
    gone = words.missing(comparison)
    if not gone:
        return ["<h2>Again</h2>", f"<pre>{escape(study.command)}</pre>"]
    items = "".join(f"<li>{_text(each)}</li>" for each in gone)
    note = "<p>The same command goes on with them and skips what is finished:</p>"
    return ["<h2>Not finished</h2>", f"<ul>{items}</ul>", note, f"<pre>{escape(study.command)}</pre>"]
