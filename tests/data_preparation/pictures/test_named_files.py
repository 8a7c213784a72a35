"""Files called <id>_<label>, lists without a header: what is read of them, and what is asked about."""

from pathlib import Path

import pytest

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures.listing import read_list
from project.work.common import UserError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def labels(source: Path, **settings: object) -> dict[str, str]:
    return {entry.path: entry.label for entry in read_list(ImageFolderSettings(input=str(source), **settings)).entries}


def refusal(source: Path, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        read_list(ImageFolderSettings(input=str(source), **settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_last_piece_of_a_name_is_the_class_in_any_script(tmp_path: Path) -> None:
    names = {f"{row:04d}_{label}.jpg": label for row, label in enumerate(["\u738b", "\u9673", "isnull"] * 3)}
    assert labels(touched(tmp_path / "x", *names)) == names
    names = {f"IMG_{row:04d}_{label}.PNG": label for row, label in enumerate("ab" * 3)}
    assert labels(touched(tmp_path / "y", *names)) == names  # IMG is one piece for all, the numbers differ


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"{label}_{row}.jpg" for row in range(9) for label in ("cat", "dog")], "cat or 0 may be the class"),
        ([f"{label}_{row:03d}.jpg" for row, label in enumerate("abab")], "a, not the last piece, may be the class"),
        ([f"p{row // 2}_{('on', 'off')[row % 2]}.jpg" for row in range(8)], "p0 or "),
        ([f"IMG_{row}.jpg" for row in range(9)], "has no sub-folders"),
        ([f"{row}.jpg" for row in range(9)], "has no sub-folders"),
    ],
)
def test_names_that_could_mean_another_thing_are_asked_about(tmp_path: Path, names: list[str], said: str) -> None:
    told = refusal(touched(tmp_path, *names))
    assert said in told
    assert ("--label-pattern" in told) == ("may be" in said or said == "p0 or ")


def test_a_pattern_says_label_group_and_part(tmp_path: Path) -> None:
    source = touched(tmp_path / "x", *(f"{label}_{row}.jpg" for row in range(3) for label in ("cat", "small_dog")))
    assert set(labels(source, label_pattern="{label}_{id}").values()) == {"cat", "small_dog"}
    source = touched(
        tmp_path / "y", *(f"{part}/p{person}/{label}.png" for part, people in (("train", "abc"), ("val", "d"),
        ("test", "ef")) for person in people for label in ("mask", "none"))
    )  # fmt: skip
    found = read_list(ImageFolderSettings(input=str(source), label_pattern="{part}/{group}/{label}"))
    assert found.together == "group"
    assert {(entry.group, entry.part, entry.said) for entry in found.entries} == {
        *(("p" + person, "train", "train") for person in "abc"), ("pd", "train", "valid"),
        ("pe", "test", "test"), ("pf", "test", "test"),
    }  # fmt: skip
    assert "6 of 6 pictures are not named" in refusal(tmp_path / "x", label_pattern="{id}-{label}")
    for pattern, fault in (("{id}", "it has no {label}"), ("{label}{id}", "two fields need a sign"),
                           ("{label}_{name}", "{name} is none of"), ("{label}_{label}", "in it twice")):  # fmt: skip
        assert fault in refusal(tmp_path / "x", label_pattern=pattern)


@pytest.mark.parametrize("sign", ["\t", " ", ","])
def test_a_list_without_a_header_is_path_and_class(tmp_path: Path, sign: str) -> None:
    names = {f"my {row}.jpg": label for row, label in enumerate(["\u732b", "\u72ac"] * 3)}
    touched(tmp_path, *names)
    (tmp_path / "train.txt").write_text("".join(f"{name}{sign}{label}\n" for name, label in names.items()))
    assert labels(tmp_path / "train.txt") == names
    (tmp_path / "train.txt").write_text(f"my 0.jpg{sign}cat\n\nmy9.jpg\n")
    assert "line 3: no label" in refusal(tmp_path / "train.txt")
    (tmp_path / "train.txt").write_text(f"my 0.jpg{sign}cat\n\nmy9.jpg{sign}dog\n")
    assert "line 3: my9.jpg is missing" in refusal(tmp_path / "train.txt")


def test_names_of_classes_that_nothing_can_hold(tmp_path: Path) -> None:
    touched(tmp_path, *(f"{row}.jpg" for row in range(4)))
    for name, said in ((".", "which no folder can be"), ("..", "which no folder can be"), ("\u738b" * 100, "255 bytes"),
                       ("\u00ad", "nobody can see")):  # fmt: skip
        rows = "".join(f"{row}.jpg,{('cat', name)[row % 2]}\n" for row in range(4))
        (tmp_path / "list.csv").write_text(f"path,label\n{rows}")
        assert said in refusal(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text('path,label\n0.jpg,"a\nb"\n1.jpg,"a\nb"\n2.jpg,c\n3.jpg,c\n')
    assert "'a\\nb' has a control character" in refusal(tmp_path / "list.csv")
