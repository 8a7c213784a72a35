"""The program behind ./inv: invoke with this repository's tasks, version, help and error messages.

./inv starts it by its path with the repository on PYTHONPATH, so that no other installation is used.
"""

if __name__ == "__main__":  # before the slow imports
    from project.work.machine import process

    process.begin()

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import invoke
    from invoke.exceptions import AmbiguousEnvVar, ParseError, UncastableEnvVar, UnknownFileType

    from project import PROGRAM, __version__
    from project.command import command_line, configuration, tasking
    from project.work.common import CODE, UserError
    from project.work.machine.process import run_command
except ModuleNotFoundError as error:
    if error.name is not None and error.name.partition(".")[0] == "project":
        raise
    named = os.environ.get("INV_ENVIRONMENT")
    advice = "remove that folder, and ./inv makes it anew" if not named else "install requirements.txt into it"
    print(
        f"error: {sys.prefix} has no {error.name}: it is half installed, or its Python was replaced; {advice}",
        file=sys.stderr,
    )
    sys.exit(2)

LIST_FORMATS = ("flat", "nested", "json")


class Config(invoke.Config):
    """invoke's configuration, with clear errors for wrong files and environment variables."""

    def _load_yaml(self, path: str) -> dict[str, Any]:
        return configuration.read(Path(path), ours=Path(path).parent == CODE)

    _load_yml = _load_json = _load_yaml

    def load_shell_env(self) -> None:
        """Read the INVOKE_... variables."""
        try:
            super().load_shell_env()
        except (AmbiguousEnvVar, UncastableEnvVar, TypeError, ValueError) as error:
            raise UserError(f"an INVOKE_... environment variable cannot be used: {error}") from error
        own = {name: self._config.get(name) for name in configuration.INVOKES_OWN}
        try:
            configuration.check_invokes_own(own)
        except UserError as error:
            raise UserError(f"{error} (from INVOKE_... in the environment?)") from error


class Program(invoke.Program):
    """invoke for the tasks of this repository."""

    everything = False  # whether help for all of a task's settings is requested

    def parse_core(self, argv: Sequence[str] | None) -> None:
        """Read the flags of invoke itself."""
        self.normalize_argv(list(sys.argv if argv is None else argv))
        command_line.readable(self.argv)
        self._in_words(lambda: super(Program, self).parse_core(self.argv))

    def parse_tasks(self) -> None:
        """Read tasks and their flags."""
        if not self.args.complete.value and self.args.help.value is None:
            if self.core.remainder:
                raise UserError("words after -- have no effect; leave the -- out")
            help_for = command_line.check(self.core.unparsed, self._make_parser().contexts, self.initial_context)
            if help_for is not None:  # invoke would read --help as the name that ./inv follow needs
                (self.args.help.value, self.everything), self.core.unparsed = help_for, []
        self._in_words(super().parse_tasks)

    def parse_cleanup(self) -> None:
        """Show help or a list if requested."""
        form = self.args["list-format"].value
        if form not in LIST_FORMATS:
            raise UserError(f"--list-format: {form} is not one of {', '.join(LIST_FORMATS)}")
        self._in_words(super().parse_cleanup)

    def update_config(self, merge: bool = True) -> None:
        """Read the configuration file of --config, and flags."""
        named = self.args.config.value
        if named is not None and not Path(named).expanduser().exists():
            raise UserError(f"--config: {named} is missing")
        try:
            super().update_config(merge)
        except UnknownFileType as error:
            raise UserError(f"--config: {error}") from error

    def print_task_help(self, name: str) -> None:
        """Show a task's purpose and settings, in the form of main.py --help."""
        print(tasking.help_page(name, self.collection[name], self.everything), end="")

    def no_tasks_given(self) -> None:
        """Show the list of tasks."""
        self.list_tasks()
        print("./inv TASK --help shows the usual settings of a task, --help-all all; ./inv --help those of invoke.")
        raise invoke.Exit

    @staticmethod
    def _in_words(step: Any) -> None:
        try:
            step()
        except (ParseError, ValueError) as error:
            said = str(error).replace("invalid literal for int() with base 10", "a flag of invoke needs a whole number")
            raise UserError(f"{said}; ./inv --list shows the tasks, ./inv --help flags") from error


def main() -> None:
    """Run ./inv."""
    words = sys.argv[1:]
    if not any(word == "-r" or word.startswith("--search-root") for word in words):
        words = ["--search-root", str(CODE), *words]
    program = Program(__version__, name=PROGRAM, binary="./inv", binary_names=["inv"], config_class=Config)
    run_command(lambda: program.run([sys.argv[0], *words]))


if __name__ == "__main__":
    main()
