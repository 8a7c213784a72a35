"""./inv report: updates results.csv from the run folders, and the spreadsheet from results.csv."""

if __name__ == "__main__":  # before the slow imports
    from project.work.machine import process

    process.begin()


import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from project.work import common
from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings import resolve
from project.work.settings.flags import build, given, setting
from project.work.settings.groups import SheetSettings


@dataclass(frozen=True)
class ResendSettings(SheetSettings):
    """What to send, and where."""

    output: str | None = setting(None, "folder of results.csv; project/output when not given", value="FOLDER")


def main(argv: Sequence[str] | None = None) -> None:
    """Add the missing rows of finished runs to results.csv, then send the rows that the spreadsheet lacks.

    Raises UserError.
    """
    flags = given(ResendSettings, argv, "Send the rows of results.csv that the spreadsheet does not have.")
    names = {field.name for field in dataclasses.fields(ResendSettings)}
    usual = {name: value for name, value in resolve.read_yaml(common.DEFAULTS_FILE).items() if name in names}
    settings = build(ResendSettings, usual | flags)
    from project.work.common import key_folder
    from project.work.machine.patience import Passing
    from project.work.reporter.reporter import to_sheet
    from project.work.reporter.sheet import sheet
    from project.work.reporter.sheet.credentials import Refused
    from project.work.reporter.table.result_table import ResultTable
    from project.work.run_folder import RESULT_FILE

    output = common.output_folder(settings.output)
    table = ResultTable(output)
    for folder in table.catch_up():
        print(f"{folder.name}: its row was missing in {table.path}; added from {RESULT_FILE}")
    rows = len(table.read())
    if not to_sheet(settings):
        raise UserError(
            f"no spreadsheet is set up: put a service account's key file into {key_folder()}, or name it with"
            " --credential-path, or give --sheet-key to use this machine's own account"
        )
    destination = sheet.Sheet(settings, output)
    try:
        sent = destination.send_all()
    except (Refused, Passing) as error:
        raise UserError(destination.advice(error)) from error
    same = rows - sent.added - sent.updated
    print(f"{sent.url}: {sent.added} rows added, {sent.updated} brought up to date, {same} were there")


if __name__ == "__main__":
    run_command(main)
