"""What was predicted, as a table, CSV, JSON, or as the file that a contest wants."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from project.work.common import UserError
from project.work.files.disk import shown

GUESSES = 3  # of Kaggle's submission
UNREAD = "could not be read"
SUBMISSIONS = {"kaggle": ("key_id", "word"), "ids": ("ImageID", "ans")}


@dataclass
class Answers:
    """names: of the pictures, in their order; ids: of them, or None; classes: names of the K classes; best: int (N, k),
    the likeliest classes of each, the likeliest first; likely: float (N, k), their probabilities; outside: bool (N,),
    whether a picture is of no class; unknown: the answer to such a picture; faults: what is wrong, by row."""

    names: Sequence[str]
    ids: Sequence[str] | None
    classes: Sequence[str]
    best: np.ndarray
    likely: np.ndarray
    outside: np.ndarray
    unknown: str | None = None
    faults: dict[int, str] = field(default_factory=dict)

    def of(self, row: int) -> list[tuple[str, float | None]]:
        """Answers to a picture with their probabilities, the likeliest first; none to one that cannot be read.

        One that is of no class has no probability for that, and the likeliest classes after it.
        """
        if row in self.faults:
            return []
        found: list[tuple[str, float | None]] = [
            (self.classes[at], float(value)) for at, value in zip(self.best[row], self.likely[row], strict=True)
        ]
        if not self.outside[row] or self.unknown is None:
            return found
        rest = [each for each in found if each[0] != self.unknown]
        return [(self.unknown, None), *rest][: len(found)]

    def rows(self) -> Iterator[tuple[str, str | None, list[tuple[str, float | None]], str]]:
        """Name, id, answers and fault of each picture."""
        for row, name in enumerate(self.names):
            yield name, None if self.ids is None else self.ids[row], self.of(row), self.faults.get(row, "")


def table(answers: Answers) -> str:
    """Lines in columns, for people."""
    lines = [("picture", "label", "confidence", *["", ""] * (answers.best.shape[1] - 1))]
    for name, _, found, fault in answers.rows():
        cells = [shown(name)]
        for label, likely in found:
            cells += [shown(label), "-" if likely is None else f"{likely:.1%}"]
        lines.append((*cells, *([f"{UNREAD}: {fault}"] if fault else [])))
    widths = [max(len(line[at]) for line in lines if at < len(line) and len(line) > 2) if any(
        at < len(line) and len(line) > 2 for line in lines) else 0 for at in range(max(map(len, lines)))]  # fmt: skip
    widths[0] = max(len(line[0]) for line in lines)
    return "".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)).rstrip() + "\n"


def as_csv(answers: Answers) -> str:
    """Columns path, label, confidence, label_2, confidence_2 ... and error; key_id where pictures have ids."""
    count = answers.best.shape[1]
    places = ["", *(f"_{place}" for place in range(2, count + 1))]
    header = ["path", *(["key_id"] if answers.ids is not None else [])]
    header += [name for place in places for name in (f"label{place}", f"confidence{place}")]

    def rows() -> Iterator[list[str]]:
        yield [*header, "error"]
        for name, key, found, fault in answers.rows():
            cells = [cell for label, likely in found for cell in (label, "" if likely is None else f"{likely:.6f}")]
            cells += [""] * (2 * count - len(cells))
            yield [name, *([] if key is None else [key]), *cells, fault]

    return _csv(rows())


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def as_json(answers: Answers) -> str:
    """A list with an object a picture: path, id, label, confidence, top (label and confidence of each), error."""
    found: list[dict[str, Any]] = []
    for name, key, top, fault in answers.rows():
        label, likely = top[0] if top else (None, None)
        one: dict[str, Any] = {"path": name, "id": key, "label": label, "confidence": _rounded(likely)}
        one["top"] = [{"label": each, "confidence": _rounded(value)} for each, value in top]
        found.append(one | ({"error": fault} if fault else {}))
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _rounded(likely: float | None) -> float | None:
    return None if likely is None else round(likely, 6)


FORMATS = {"table": table, "csv": as_csv, "json": as_json}


def refuse_without_ids(submission: str, ids: Sequence[str] | None, classes: Sequence[str]) -> None:
    """Raises UserError where a submission cannot be made."""
    if ids is None:
        column = SUBMISSIONS[submission][0]
        raise UserError(f"--submission {submission}: these pictures have no ids; give a file of drawings, a list with"
                        f" the columns {column},path, or files that are named by their ids (123.png)")  # fmt: skip
    if submission == "kaggle":
        words = Counter(_word(name) for name in classes)
        twice = next((word for word, count in words.items() if count > 1), None)
        if twice is not None:
            raise UserError(f"--submission kaggle: two classes are written {twice} with underscores for blanks")


def submission(kind: str, answers: Answers) -> str:
    """A contest's file: kaggle, three guesses with underscores within words, or ids, one answer a picture.

    A picture that cannot be read has the answer that is given most, or the unknown's: a contest wants a line for each.
    """
    assert answers.ids is not None
    most = Counter(answers.best[row, 0] for row in range(len(answers.names)) if row not in answers.faults)
    usual = [answers.classes[at] for at, _ in most.most_common(answers.best.shape[1])] or list(answers.classes[:1])
    if answers.unknown is not None:
        usual = [answers.unknown, *(name for name in usual if name != answers.unknown)]

    def rows() -> Iterator[list[str]]:
        yield list(SUBMISSIONS[kind])
        for row, key in enumerate(answers.ids or ()):
            guesses = [label for label, _ in answers.of(row)] or usual
            yield [key, " ".join(map(_word, guesses[:GUESSES])) if kind == "kaggle" else guesses[0]]

    return _csv(rows())


def _word(name: str) -> str:
    return name.replace(" ", "_")
