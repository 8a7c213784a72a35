"""Files that a person names: what is no plain file is refused, and tables are read however a spreadsheet saves them."""

import os
import socket
from pathlib import Path

import pandas as pd
import pytest

from project.work.common import UserError
from project.work.files import disk, tables


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        tables.read_table(path, ("key_id", "new_label"), "a file of corrections", **options)
    return str(caught.value)


def test_only_what_has_no_name_at_all_is_absent(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").touch()
    assert disk.absent(tmp_path / "nothing")
    assert not any(disk.absent(tmp_path / name) for name in ("link", "file", "file/below", ".", "nul\0"))


def test_what_is_no_plain_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    assert "is a named pipe" in refusal(tmp_path / "pipe")
    assert "is a folder" in refusal(tmp_path)
    assert "is a device" in refusal(Path("/dev/zero"))
    assert "is a socket" in refusal(tmp_path / "socket")
    assert "cannot be read (Too many levels of symbolic links)" in refusal(tmp_path / "loop")
    assert "is a link to nothing" in refusal(tmp_path / "gone")
    assert "is missing" in refusal(tmp_path / "absent")
    assert "null" in refusal(Path("a\0b"))
    assert "\0" not in refusal(Path("a\0b"))


def test_a_file_is_as_large_as_its_size_says_and_no_larger_one_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(20 << 30)
    assert f"is {20 << 30:,} bytes, but at most {disk.LARGEST:,} are read" in refusal(tmp_path / "sparse")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_way_that_spreadsheets_save_a_table_is_read_alike(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [["Key_ID ", "new_label", "note"], ["7", "3", "caf\xe9"], ["", "", ""], ["8", "drop", f"a{separator}b"]]
    lines = ["\t".join(cells).replace("\t", separator) for cells in rows[:3]] + [
        f'8{separator}drop{separator}"a{separator}b"'
    ]
    (tmp_path / "table.csv").write_bytes("\r\n".join(lines).encode(encoding))
    table = tables.read_table(tmp_path / "table.csv", ("key_id", "new_label"), optional=("note",))
    assert table.to_dict("list") == {
        "key_id": ["7", "8"],
        "new_label": ["3", "drop"],
        "note": ["caf\xe9", f"a{separator}b"],
    }
    assert table.index.tolist() == [2, 4]


def test_what_is_no_table_is_refused_by_line(tmp_path: Path) -> None:
    def said(text: str) -> str:
        (tmp_path / "t.csv").write_text(text)
        return refusal(tmp_path / "t.csv")

    assert "line 3: 1 fields, but the header has 2" in said("key_id,new_label\n1,2\n3\n")
    assert "line 2: 3 fields" in said("key_id,new_label\n1,2,3\n")
    assert "line 2: holds a NUL" in said("key_id,new_label\n1,\x002\n")
    assert "line 3: not a file of corrections" in said('key_id,new_label\n"1,2\n3,4')
    assert "has no column new_label (its header is 'key_id,other')" in said("key_id,other\n1,2\n")
    assert "two columns are called 'key_id'" in said("key_id,new_label,key_id\n1,2,3\n")
    assert "is empty" in said("")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_table_is_read_alike_whatever_pieces_it_is_cut_into(
    tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = end.join(["a,b", *(f'{row},"x{end}{row}"' for row in range(30))]) + end * 3
    whole = tables.parse_table(text, tmp_path)
    assert whole["b"].tolist() == [f"x{end}{row}" for row in range(30)]
    for piece in range(1, 30):
        monkeypatch.setattr(tables, "_PIECE", piece)
        pd.testing.assert_frame_equal(tables.parse_table(text, tmp_path), whole)


def test_a_line_without_an_end_is_refused_before_its_reader_takes_many_times_its_size(tmp_path: Path) -> None:
    for text, line in (('a,b\n"' + "x" * 40_000_000, 2), ("x" * 40_000_000, 1), ("a,b" + "," * 40_000_000, 1)):
        with pytest.raises(UserError, match=rf"t.csv line {line}: .*a line of more than 16,777,216 letters"):
            tables.parse_table(text, tmp_path / "t.csv")


def test_json_that_is_nested_too_deeply_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"deep\.json: not JSON"):
        disk.read_json(tmp_path / "deep.json")
