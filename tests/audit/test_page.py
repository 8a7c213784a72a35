"""The page as a file: what it shows of an audit and of which pictures, what it escapes, what it refuses."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from folders import FLAGGED, KEYS, MATRIX, NAMES, audit_folder, audit_table, data_of, some_pictures
from PIL import Image

from project.work.audit.page import confusions, page, parts
from project.work.audit.page.page import write_page
from project.work.common import UserError
from project.work.pages import sheets


def images_of(path: Path, kind: str = "p") -> list[np.ndarray]:
    """The sheets of a page, as pixels."""
    found = re.findall(rf"\.{kind}\d+\{{background-image:url\(data:image/\w+;base64,([^)]*)\)", path.read_text())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def test_each_suspect_stands_with_its_facts_and_its_own_picture(tmp_path: Path) -> None:
    path = write_page(audit_folder(tmp_path), some_pictures(), NAMES)
    data = data_of(path)
    assert [picture[0] for picture in data["pictures"]] == [*FLAGGED, 24, 25]
    assert data["pictures"][0] == [0, KEYS[0], 0, 1, 0.001, 4, 1, 1]
    assert [picture[7] for picture in data["pictures"]] == [1, 1, 1, 1 + 2, 1, 4, 4]
    (sheet,) = images_of(path)
    assert sheet.shape == (16, 32 * 16)
    middles = sheet[8, 8 : 7 * 16 : 16]
    assert middles.tolist() == [100 + 5 * row for row in [*FLAGGED, 24, 25]]


def test_examples_are_the_least_doubted_of_each_class(tmp_path: Path) -> None:
    path = write_page(audit_folder(tmp_path), some_pictures(), NAMES)
    places = data_of(path)["examples"]
    (sheet,) = images_of(path, "e")
    shown = {label: [(int(sheet[8, 16 * at + 8]) - 100) // 5 for at in some] for label, some in places.items()}
    assert {label: sorted(rows) for label, rows in shown.items()} == {
        "0": [6, 7, 8, 9],
        "1": [16, 17, 18, 19],
        "2": [26, 27, 28, 29],
    }


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    text = write_page(audit_folder(tmp_path), some_pictures(), NAMES).read_text()
    assert "<b>ant" not in text
    assert "</script><script>" not in text.replace("</script>\n<script>", "")
    assert "<i>lines" not in text
    assert "bee & Sons" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S)


def test_a_page_asks_nothing_of_a_network(tmp_path: Path) -> None:
    text = write_page(audit_folder(tmp_path), some_pictures(), NAMES).read_text()
    assert "default-src 'none'" in text
    assert re.findall(r"(?:src|href)=[\"']?(?![\"']?(?:#|data:))[^\s>]+|@import|https?://[^\s\"']+", text) == []


def test_what_was_found_is_said(tmp_path: Path) -> None:
    text = write_page(audit_folder(tmp_path), some_pictures(), NAMES).read_text()
    assert "<strong>5 of 30</strong> labels are flagged (16.7%)" in text
    assert "The fold models agree with 75.0% of the labels. The number flagged is the maximum-likelihood" in text
    assert (
        "At least 10.0% are wrong, if the surest 5% of the predictions are right and their labels are wrong as often"
        in text
    )
    assert "At most 25.0%, if all predictions are right." in text
    assert "AUROC against the known errors</th><td>91.2%</td>" in text
    assert 'id="warning"' not in text
    assert "1 blank picture:" in text
    assert "1 group of identical pictures:" in text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"models": "weak", "agreement": 0.027}, "agree with only 2.7% of the labels: they learnt too little, or most"),
        (
            {"models": "nothing learnt", "agreement": 0.04, "chance_agreement": 0.041, "noise_rate": None},
            "they agree with 4.0% of them; always predicting the commonest class would agree with 4.1%. There is no",
        ),
        ({"noise_rate": 0.08}, "so more labels are wrong than are flagged"),
    ],
)
def test_what_makes_an_estimate_doubtful_stands_under_it(tmp_path: Path, facts: dict, said: str) -> None:
    text = write_page(audit_folder(tmp_path, **facts), some_pictures(), NAMES).read_text()
    assert said in re.search(r'<p id="warning" role="note">(.*?)</p>', text).group(1)
    assert ("At least" in text.split("<nav")[0]) == (facts.get("models") is None)


def test_an_older_audit_has_a_page_too(tmp_path: Path) -> None:
    (audit_folder(tmp_path) / "audit.json").write_text('{"noise_rate": 0.17, "noise_rate_low": 0.1}')
    assert "maximum-likelihood noise rate: 17.0%" in write_page(tmp_path, some_pictures(), NAMES).read_text()


def test_what_an_audit_writes_has_words_on_its_page(tmp_path: Path) -> None:
    classes = pd.DataFrame({"label": [0, 1, 2], "name": NAMES, "count": 10, "flagged": [4, 1, 0]})
    classes = classes.assign(flagged_share=[0.4, 0.1, 0.0], most_suggested="", confident_rate=[0.5, 0.2, 0.1])
    known = {"confident_rate": 0.3, "sure_rows": 50, "sure_disagreement": 0.2, "agreement": 0.8}
    audit_folder(tmp_path, **known, flag_by="channel", noise_type="symmetric", noise_rate_asked=0.1)
    classes.to_csv(tmp_path / "classes.csv", index=False)
    text = write_page(tmp_path, some_pictures(), NAMES).read_text()
    assert ">share flagged</button></th><th scope=col><button class=sort>most suggested</button>" in text
    assert ">share wrong by confident learning</button>" in text
    assert '<td class=number data-value="0.4">40.0%</td>' in text
    assert "share of labels that the fold models agree with</th><td>80.0%</td>" in text
    assert "estimate that decides how many labels are flagged</th><td>channel</td>" in text
    for key in ("noise rate", "confident rate", "agreement", "flag by", "noise type", "models", "sure"):
        assert f">{key}" not in text


def test_the_matrix_is_not_taken_for_the_amount_of_noise(tmp_path: Path) -> None:
    text = " ".join(write_page(audit_folder(tmp_path), some_pictures(), NAMES).read_text().split())
    said = text[text.index("The estimated noise transition matrix") :]
    assert "It takes a weak model's confusions for wrong labels, so it overstates the noise" in said
    assert "choose a rate: <code>--noise-type confusion --noise-file transition.csv --noise-rate" in said


def test_the_limit_keeps_the_most_suspicious(tmp_path: Path) -> None:
    path = write_page(audit_folder(tmp_path), some_pictures(), NAMES, limit=3)
    assert [picture[0] for picture in data_of(path)["pictures"]] == [0, 1, 2]
    assert "The 3 most suspicious of 5 flagged pictures are here" in path.read_text()


def test_without_a_flag_the_least_trusted_are_shown_and_it_says_so(tmp_path: Path) -> None:
    path = write_page(audit_folder(tmp_path, audit_table().assign(flagged=0)), some_pictures(), NAMES, limit=20)
    assert len(data_of(path)["pictures"]) == 20
    assert "No label is flagged." in path.read_text()


def test_all_flagged_is_a_page_too(tmp_path: Path) -> None:
    path = write_page(audit_folder(tmp_path, audit_table().assign(flagged=1)), some_pictures(), NAMES)
    assert len(data_of(path)["pictures"]) == 30
    assert images_of(path, "e") == []


@pytest.mark.parametrize("shape", [(16, 20, 1), (16, 20, 3), (16, 20, 4), (200, 300, 3)])
def test_pictures_of_any_size_and_colour(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write_page(audit_folder(tmp_path), some_pictures(shape), NAMES)
    (sheet,) = images_of(path)
    assert sheet.ndim == (2 if shape[2] == 1 else 3)
    assert sheet.shape[:2] == (shape[0], 32 * shape[1])
    assert ('<body class="white-ink">' in path.read_text()) == (shape[2] == 1)


def test_many_large_pictures_are_shrunk_to_what_a_page_carries() -> None:
    assert sheets.shown_size(32, 32, 2000, sheets.PIXELS) == (32, 32)
    height, width = sheets.shown_size(300, 200, 2000, sheets.PIXELS)
    assert height * width * 2000 == pytest.approx(sheets.PIXELS, rel=0.02)
    assert height / width == pytest.approx(1.5, rel=0.02)
    assert sheets.shown_size(300, 200, 2000, 1000) == (32, 21)


def test_more_pictures_than_a_sheet_holds_fill_several() -> None:
    images = np.arange(600, dtype=np.uint16).astype(np.uint8)[:, None, None].repeat(2, axis=1).repeat(2, axis=2)
    packed = sheets.packed(images)
    assert packed.rows == [16, 3]
    last = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed.urls[1].partition(",")[2]))))
    assert last[4, 2 * 23] == 599 % 256  # the 88th of the second sheet: line 3, column 24


def test_ink_is_told_by_the_border() -> None:
    drawing = np.zeros((2, 8, 8), np.uint8)
    drawing[:, 2:6, 2:6] = 255
    assert sheets.white_ink(drawing)
    assert not sheets.white_ink(255 - drawing)
    assert not sheets.white_ink(drawing[..., None].repeat(3, axis=3))


def test_the_largest_confusions_are_listed_with_the_pictures_that_say_so() -> None:
    pairs = confusions.largest_pairs(MATRIX)
    assert pairs == [(0, 1, 0.2), (0, 2, 0.1), (2, 0, 0.05)]
    assert confusions.largest_pairs(MATRIX, 1) == [(0, 1, 0.2)]
    table = audit_table()  # rows 0 to 3 are labelled 0 and look like 1
    ((true, given, share, flagged),) = confusions.pair_rows([(1, 0, 0.3)], table, NAMES)
    assert (true.text, given.text, share.text, flagged.text) == (NAMES[1], NAMES[0], "30.0%", "4")
    assert confusions.cells(MATRIX)[2] == [[2, 0.95], [0, 0.05]]


def test_identical_pictures_with_different_labels_come_first() -> None:
    table = audit_table().sort_values("row", ignore_index=True)
    table["duplicate_of"] = pd.Series([np.nan] * 30).where(~table["row"].isin([1, 12]), table["row"].map({1: 0, 12: 5}))
    table["copy"] = table["row"].isin([0, 1, 5, 12])
    (first, second), count = parts.identical_pictures(table, ["ant", "bee", "cat"], {0, 1, 5})
    assert (count, first.different, second.different) == (2, True, False)
    told = [(each.key, each.name, each.shown) for each in first.members]
    assert told == [("k5", "ant", True), ("k12", "bee", False)]  # the one that is not on the page is no button


@pytest.mark.slow
def test_a_page_of_a_thousand_classes_stays_light(tmp_path: Path) -> None:
    names = [f"class {label}" for label in range(1000)]
    table = audit_table()
    audit_folder(tmp_path, table)
    counts = {"label": range(1000), "name": names, "count": 3, "flagged": 1, "flagged_share": 0.1}
    pd.DataFrame(counts).to_csv(tmp_path / "classes.csv", index=False)
    matrix = np.full((1000, 1000), 0.1 / 999)
    np.fill_diagonal(matrix, 0.9)
    pd.DataFrame(matrix, index=names, columns=names).to_csv(tmp_path / "transition.csv")
    path = write_page(tmp_path, some_pictures(), names)
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("audit.csv", None, r"audit\.csv is missing: run \./inv audit first"),
        ("audit.csv", "row,key_id\n0,k0\n", r"audit\.csv: not an audit"),
        ("audit.json", None, r"audit\.json is missing"),
        ("audit.json", "{", r"audit\.json: not JSON"),
        ("audit.json", "[]", "not the facts of an audit"),
        ("classes.csv", None, r"classes\.csv is missing"),
        ("classes.csv", "a\n1\n", "not the classes of an audit"),
        ("transition.csv", None, r"transition\.csv is missing.*\./inv audit writes one"),
        ("transition.csv", "", "not a noise transition matrix"),
    ],
)
def test_a_folder_that_is_no_audit_is_refused(tmp_path: Path, file: str, content: str | None, fault: str) -> None:
    audit_folder(tmp_path)
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=fault):
        write_page(tmp_path, some_pictures(), NAMES)


def test_an_audit_of_other_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has other classes than these 2"):
        page.write_page(audit_folder(tmp_path), some_pictures(), NAMES[:2])


@pytest.mark.parametrize(("count", "numbers", "every"), [(3, True, 1), (10, True, 1), (100, False, 2), (340, False, 6)])
def test_a_map_has_its_colour_key_and_readable_names(count: int, numbers: bool, every: int) -> None:
    matrix = np.full((count, count), 0.3 / (count - 1))
    np.fill_diagonal(matrix, 0.7)
    drawn = confusions.heat_map(matrix, [f"class {label}" for label in range(count)])
    assert (len(drawn.numbers) > 0, drawn.step) == (numbers, every)
    shrunk = min(1, 700 / drawn.width) * drawn.width / (drawn.size + drawn.margin + 2)  # pixels, of the map's lengths
    assert drawn.coarse * shrunk > 8.5
    assert drawn.coarse <= 10 * drawn.step  # no name lies on the next
    assert [words for _, words in drawn.marks] == ["0%", "1%", "10%", "25%", "50%", "100%"]
    key = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.key.partition(",")[2]))).convert("L"))
    assert (np.diff(key[0].astype(int)) <= 0).mean() > 0.95  # from light to dark, as the map
