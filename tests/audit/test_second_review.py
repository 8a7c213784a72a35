"""A second round: the page of an audit made with corrections, whose export is the first round's and the second's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import processes
import pytest
import small
from browser import Browser
from folders import NAMES, audit_folder, audit_table, data_of, some_pictures
from reviewing import exported, numbers, reviewing, waited

from project.work.audit.page import page
from project.work.audit.page.page import write_page
from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.base_dataset import split
from project.work.labels import corrections
from project.work.labels.corrections import DROPPED

pytestmark = pytest.mark.slow

HEADER = "row,key_id,given_label,new_label\n"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with reviewing(tmp_path_factory.mktemp("downloads")) as shown:
        yield shown


def rows_of(prepared: Path) -> dict[str, int]:
    """A row of the training split for each fate in two rounds of review."""
    labels = storage.read(prepared).train.labels
    fates = ("left", "changed", "dropped", "kept", "new", "hidden", "restored")
    return dict(zip(fates, split(labels, 0.1, 0, "")[0][::7].tolist(), strict=False))


def first_round(prepared: Path, path: Path) -> Path:
    """Corrections of a first round: labels become the next, but for one row that is dropped and one that is kept."""
    part, rows = storage.read(prepared).train, rows_of(prepared)
    new = {name: (part.labels[row] + 1) % 4 for name, row in rows.items() if name != "new"}
    new |= {"dropped": "drop", "kept": part.labels[rows["kept"]]}
    some = [rows[name] for name in new]
    table = pd.DataFrame({"row": some, "key_id": part.keys["key_id"][some], "given_label": part.labels[some]})
    table.assign(new_label=list(new.values())).to_csv(path, index=False)
    return path


def second_audit(prepared: Path, output: Path, first: Path) -> Path:
    """The page of an audit made with these corrections: of logits that doubt five of the rows."""
    part, rows = storage.read(prepared).train, rows_of(prepared)
    made = corrections.read(first, part.labels, np.array(part.keys["key_id"], dtype="S"), small.NAMES)
    labels, doubted = made.applied(part.labels), [rows[name] for name in ("left", "changed", "kept", "new", "restored")]
    believed = labels.copy()
    believed[doubted] = (labels[doubted] + 3) % 4
    folds = np.arange(120) % 3
    folds[split(part.labels, 0.1, 0, "")[1]] = -1
    folds[rows["dropped"]] = -2
    keys = part.keys["key_id"].to_numpy(dtype=str)
    logits = 20 * np.eye(4, dtype=np.float32)[believed]
    np.savez(output / "logits.npz", logits=logits, keys=keys, folds=folds, names=np.array(small.NAMES))
    words = ("--dataset", prepared, "--output", output, "--corrections", first, "--oof-logits", output / "logits.npz")
    code = processes.finish(processes.fork_main(output / "log", "--stage", "audit", *words))
    assert code == 0, (output / "log").read_text()
    (path,) = output.glob("audit-*/audit.html")
    return path


def go(window: Browser, path: Path, row: int) -> None:
    """Click the picture of a row."""
    place = [picture[0] for picture in data_of(path)["pictures"]].index(row)
    window.click(f".tile:nth-child({place + 1})")


def test_the_export_of_a_second_round_is_the_whole_story(prepared: Path, window: Browser, tmp_path: Path) -> None:
    path = second_audit(prepared, tmp_path, first_round(prepared, tmp_path / "c1.csv"))
    part, rows = storage.read(prepared).train, rows_of(prepared)
    shown = {name for name, row in rows.items() if row in [picture[0] for picture in data_of(path)["pictures"]]}
    assert shown == {"left", "changed", "kept", "new", "restored"}

    window.open(path)
    assert window.text("#status") == "4 of 5 reviewed: 1 kept, 3 relabelled, 0 dropped; 2 of other pictures"
    assert data_of(path)["pictures"][int(window.run("return gallery.at"))][0] == rows["new"]  # the one that is open
    window.press("d")
    label, original = (small.NAMES[(part.labels[rows["changed"]] + step) % 4] for step in (1, 0))
    go(window, path, rows["changed"])
    assert window.text("#given") == f"{label} (corrected, was {original})"
    assert window.text("#decision") == f"✓ {label}, was {original}, decided before this audit"
    window.press("l", small.NAMES[(part.labels[rows["changed"]] + 2) % 4], "Enter")
    go(window, path, rows["restored"])
    window.press("s")  # the label in the data after all
    go(window, path, rows["kept"])
    assert window.text("#decision") == "✓ kept, decided before this audit"
    assert window.text("#status") == "5 of 5 reviewed: 2 kept, 2 relabelled, 1 dropped; 2 of other pictures"

    exported(window)
    keys = np.array(part.keys["key_id"], dtype="S")
    read = corrections.read(window.downloads / "corrections.csv", part.labels, keys, small.NAMES)
    steps = {"left": 1, "changed": 2, "hidden": 1, "kept": 0, "restored": 0}
    wanted = {rows[name]: (part.labels[rows[name]] + step) % 4 for name, step in steps.items()}
    wanted |= {rows["dropped"]: DROPPED, rows["new"]: DROPPED}
    assert dict(zip(read.rows.tolist(), read.new.tolist(), strict=True)) == wanted


def second_page(folder: Path, text: str) -> Path:
    """A page drawn from a folder made by hand: of its pictures k1 was relabelled from 2, k2 kept; two are not on it."""
    audit_folder(folder, fingerprint=f"second {folder.name}")
    (folder / "earlier_corrections.csv").write_text(text)
    return write_page(folder, some_pictures(), NAMES)


EARLIER = HEADER + "1,k1,2,0\n2,k2,0,0\n13,k13,1,drop\n14,k14,0,1\n"


@pytest.fixture
def second(window: Browser, tmp_path: Path) -> Browser:
    """Such a page as a person sees it first."""
    path = second_page(tmp_path, EARLIER)
    window.open(path)
    return window


def test_a_page_drawn_again_from_its_folder_keeps_earlier_decisions(tmp_path: Path) -> None:
    path = second_page(tmp_path, EARLIER)
    assert data_of(path)["earlier"] == [[1, "k1", 2, 0], [2, "k2", 0, 0], [13, "k13", 1, "drop"], [14, "k14", 0, 1]]
    assert "4 decisions were made before this audit" in path.read_text()
    (tmp_path / "earlier_corrections.csv").unlink()
    path = write_page(tmp_path, some_pictures(), NAMES)
    assert data_of(path)["earlier"] == []
    assert "before this audit:" not in path.read_text()


def test_what_was_decided_before_is_exported_untouched_and_undo_returns_to_it(second: Browser) -> None:
    assert second.text("#status") == "2 of 7 reviewed: 1 kept, 1 relabelled, 0 dropped; 2 of other pictures"
    assert numbers(exported(second)) == EARLIER
    second.click(".tile:nth-child(2)")
    second.press("d")
    assert "1,k1,2,drop\n" in numbers(exported(second))
    second.press("u")
    assert second.text("#decision").endswith("decided before this audit")
    assert numbers(exported(second)) == EARLIER
    second.press("k")  # as it is now: corrected
    assert second.run("return document.querySelector('.tile:nth-child(2)').dataset.decision") == "change"
    assert numbers(exported(second)) == EARLIER


def test_the_first_round_comes_in_on_the_page_of_the_second(second: Browser, tmp_path: Path) -> None:
    (tmp_path / "c1.csv").write_text(EARLIER.replace("14,k14,0,1", "14,k14,0,2"))
    second.give("#file", tmp_path / "c1.csv")
    assert "4 came from c1.csv" in waited(second, "#status", "came from")
    assert numbers(exported(second)) == EARLIER.replace("14,k14,0,1", "14,k14,0,2")


@pytest.mark.parametrize(
    ("line", "fault"),
    [("1,k1,0,1", "the label of k1 is 2 here, not 0"), ("14,k14,2,1", "the label of k14 is 0 here, not 2")],
)
def test_corrections_of_corrected_labels_are_refused(second: Browser, tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "other.csv").write_text(HEADER + line + "\n")
    second.give("#file", tmp_path / "other.csv")
    assert fault in waited(second, "#problem", "Nothing was taken")


def test_pictures_that_are_judged_give_way_where_not_all_fit() -> None:
    table = audit_table().assign(copy=False)
    judged = table["row"].isin([0, 2]).to_numpy()
    assert table["row"][page.chosen(table, judged, 3)].tolist() == [1, 3, 10]
    assert table["row"][page.chosen(table, judged, 4)].tolist() == [0, 1, 3, 10]
    assert table["row"][page.chosen(table, judged, 5)].tolist() == [0, 1, 2, 3, 10]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("row,key_id\n1,k1\n", r"earlier_corrections\.csv: not the corrections that an audit was made with"),
        (HEADER + "1,k1,0,3\n", "new_label of k1 is '3'"),
        (HEADER + "one,k1,0,1\n", r"a row is not a number; run \./inv audit again"),
    ],
)
def test_a_folder_with_spoilt_decisions_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        second_page(tmp_path, text)
