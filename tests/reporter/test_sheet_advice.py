"""What only a person can put right is said in one line that tells them how, and is not tried again."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from reporting import KEY, refused, result
from stand_ins.account import EMAIL
from stand_ins.google import SWITCH, Google

from project.work.reporter.sheet import waiting

APPEND = "POST /v4/spreadsheets/the-key/values/'Sheet1'!A1:append"


def test_a_sheet_that_is_not_shared(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    sheet = google.add(key=KEY, shared={})
    advice = f"share the sheet {KEY} with {EMAIL} as editor, then ./inv report --output={tmp_path} --sheet-key={KEY}"
    assert refused(make_sheet(), tmp_path, "a").startswith(advice)
    sheet.shared[EMAIL] = "reader"
    assert refused(make_sheet(), tmp_path, "b").startswith(advice)
    assert refused(make_sheet(sheet_key="mistyped"), tmp_path, "c").startswith(f"share the sheet mistyped with {EMAIL}")
    sheet.shared[EMAIL] = "writer"
    make_sheet().send_all()
    assert sheet.uuids() == ["a", "b", "c"]
    assert len(google.said(APPEND)) == 1


def test_a_sheet_shared_for_reading_is_named_by_its_title(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    google.add("Experiment", shared={EMAIL: "reader"})
    said = refused(make_sheet(sheet_title="Experiment"), tmp_path, "a")
    assert said.startswith(f'share the sheet "Experiment" with {EMAIL} as editor, then ./inv report')


def test_no_sheet_of_that_title_and_several(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    said = refused(make_sheet(sheet_title="Experiment"), tmp_path, "a")
    assert said.startswith(f'no sheet "Experiment" is shared with {EMAIL}: make it at https://sheets.new')
    google.add("Experiment", key="one")
    google.add("Experiment", key="two")
    said = refused(make_sheet(sheet_title="Experiment"), tmp_path, "a")
    assert said.startswith(f'2 sheets "Experiment" are shared with {EMAIL} (one, two): choose with --sheet-key')


def test_an_api_that_is_off_is_named_with_its_switch(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    google.off = True
    said = refused(make_sheet(), tmp_path, "a")
    assert f"a Google API is off in the project of {EMAIL}: enable it at {SWITCH}, wait a minute, then ./inv" in said


def test_an_excel_file_is_no_sheet(google: Google, make_sheet: Callable, tmp_path: Path) -> None:
    google.add(key=KEY, office=True)
    assert "the-key is an Office file: open it, choose File > Save as Google Sheets" in refused(
        make_sheet(), tmp_path, "a"
    )


def test_what_google_says_is_passed_on_in_one_line_without_a_token(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    google.add(key=KEY)
    google.fail(400, where=APPEND, body={"error": {"code": 400, "message": "No room.\nBearer ya29.abc was here"}})
    said = refused(make_sheet(), tmp_path, "a")
    assert said.startswith("Google refused the row in the-key (400: No room. ... was here): fix that, then ./inv")


def test_a_key_that_was_deleted(google: Google, make_sheet: Callable, tmp_path: Path, key_file: Path) -> None:
    google.add(key=KEY)
    google.key_file(tmp_path / "newer.json")  # of the same account: the older key no longer counts
    said = refused(make_sheet(), tmp_path, "a")
    assert said.startswith(f"Google does not accept the key of {EMAIL} (invalid_grant: Invalid JWT Signature.)")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----\n"}, "not a whole PEM key"),
        ({"private_key": "MIIsecret"}, "its private_key is not a whole PEM key"),
        ({"client_email": None}, "the key file has no client_email"),
        ({"type": "authorized_user"}, "not the key file of a service account (its type is authorized_user)"),
        ({"type": None}, "not the key file of a service account (its type is missing)"),
    ],
)
def test_a_broken_key_file_is_told_apart(
    google: Google, make_sheet: Callable, tmp_path: Path, changes: dict, fault: str
) -> None:
    path = google.key_file(tmp_path / "broken.json", **changes)
    said = refused(make_sheet(credential_path=str(path)), tmp_path, "a")
    assert said.startswith(f"{path}: ")
    assert fault in said
    assert "MII" not in said
    assert google.requests == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "the key file is not JSON"),
        ("[" * 60_000, "the key file is not JSON"),
        (" " * 100_000, "is 100,000 bytes, but at most"),
        ("[]", "its type is missing"),
        ('{"type": ["service_account"]}', "its type is missing"),
        (None, "No such file"),
    ],
)
def test_a_key_file_that_is_none(make_sheet: Callable, tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    assert fault in refused(make_sheet(credential_path=str(path)), tmp_path, "a")


def test_a_key_file_that_is_a_pipe_is_not_waited_for(make_sheet: Callable, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "other.json")
    assert "is a named pipe" in refused(make_sheet(credential_path=str(tmp_path / "other.json")), tmp_path, "a")


def test_marks_that_are_none_do_not_keep_a_row_from_being_sent(
    google: Google, make_sheet: Callable, tmp_path: Path
) -> None:
    sheet = google.add(key=KEY)
    sent = result(tmp_path, "a", dataset="=1+1")
    texts = ["[" * 50_000, "[]", '{"sheet": "the-key", "uuid": []}', '{"sheet": "the-key", "uuid": {"a": 1}}', "\0"]
    for at, text in enumerate(texts):
        (tmp_path / f"broken-{at}").mkdir()
        (tmp_path / f"broken-{at}" / waiting.FILE).write_text(text)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / waiting.FILE)
    make_sheet().write(sent)
    assert [(row["uuid"], row["dataset"]) for row in sheet.rows()] == [("a", "=1+1")]


def test_the_key_file_is_found_in_its_folder_unless_there_are_two(
    google: Google, make_sheet: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIAL_FOLDER", str(folder))
    google.key_file(folder / "first.json")
    sheet = google.add("Experiment")
    make_sheet(sheet_title="Experiment", credential_path=None).write(result(tmp_path, "a"))
    assert sheet.uuids() == ["a"]
    (folder / "second.json").write_text("{}")
    said = refused(make_sheet(sheet_title="Experiment", credential_path=None), tmp_path, "b")
    assert said.startswith(f"{folder} has 2 key files (first.json, second.json); name one with --credential-path, then")
