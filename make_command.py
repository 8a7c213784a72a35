"""Settings -> command lines; pure, standard library only."""

import dataclasses
import itertools
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from project.work.common import CODE, ROOT, UserError, flag
from project.work.settings.groups import NoiseSettings
from project.work.settings.help_page import groups, heading, value_of
from project.work.settings.method_words import method_settings

REPOSITORY = "/repository"  # where the code is in every image
SETTINGS_HEAD = """# Settings

<!-- generated: ./inv settings > docs/settings.md; a test compares -->
Every setting of a run, with its default. `./inv train --help` shows the usual ones, `--help-all` the rest. Your own
defaults go into `project/work/settings.yaml`; a flag on the command line wins over it.
"""


def script(path: str, values: Mapping[str, Any]) -> list[str]:
    """The command that runs a script of this repository; for values not given the script has defaults."""
    return [sys.executable, str(CODE / path), *flags(values)]


def flags(values: Mapping[str, Any]) -> list[str]:
    """{"batch_size": "128", "mixup": True, "seed": None} -> ["--batch-size=128", "--mixup"]."""
    words = []
    for name, value in values.items():
        if value is True:
            words.append(flag(name))
        elif value is not None and value is not False:
            words.append(f"{flag(name)}={value}")
    return words


def docker_build(place: str, image: str, build_args: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """image/<place>/Dockerfile -> an image. build_args: NAME=value, or NAME for its value in the environment."""
    arguments = [f"--build-arg={argument}" for argument in build_args]
    file = ROOT / "image" / place / "Dockerfile"
    return ["docker", "build", f"--file={file}", f"--tag={image}", *arguments, *options, str(ROOT)]


def docker_run(
    image: str, container: str, user: str, shm_size: str, gpus: str | None, options: Sequence[str]
) -> list[str]:
    """Start a container with this repository mounted; files written there belong to user (uid:gid).

    --init: a first process that passes signals on, so that the container stops at once, and reaps ended processes.
    """
    command = ["docker", "run", "--detach", "--init", f"--name={container}", f"--user={user}", f"--shm-size={shm_size}"]
    command += [_mount(str(ROOT)), f"--label=repository={ROOT}"]
    return [*command, *([] if gpus is None else [f"--gpus={gpus}"]), *options, image, "sleep", "infinity"]


def _mount(folder: str) -> str:
    """The --mount of the repository, in CSV; --volume would split a path at a colon."""
    if ":" not in folder:
        return f"--volume={folder}:{REPOSITORY}"
    source = f"source={folder}".replace('"', '""')
    return f'--mount=type=bind,"{source}",target={REPOSITORY}'


def docker_exec(container: str, command: str | None, terminal: bool) -> list[str]:
    """A shell in a running container, or one command line in it."""
    keyboard = ["--interactive", "--tty"] if terminal else ["--interactive"]
    return ["docker", "exec", *keyboard, container, "bash", *([] if command is None else ["-c", command])]


def docker_stop(container: str) -> list[list[str]]:
    """Stop the container, kill it after a second, and remove it, so that its name is free afterwards."""
    return [["docker", "stop", "-t", "1", container], ["docker", "rm", "--force", container]]


def docker_push(image: str, repository: str, revisions: Sequence[str]) -> list[list[str]]:
    """Tag an image with revisions and push it to a registry."""
    names = [f"{repository}:{revision}" for revision in revisions]
    return [["docker", "tag", image, name] for name in names] + [["docker", "push", name] for name in names]


def grid(values: Mapping[str, Any], whole: Collection[str] = ()) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """{"lr": "0.1,0.03", "mixup": True} -> each combination, and its values that vary over the grid.

    whole: names whose values may contain commas. "method": "base,mixup+ema=0.99" expands to settings. A noise rate of 0
    means no noise, whatever the type, so that a list of rates can include the clean control.
    Raises UserError for an empty word and for an unknown method.
    """
    words = {
        name: split(name, value) if isinstance(value, str) and name not in whole else [value]
        for name, value in values.items()
    }
    for combination in itertools.product(*words.values()):
        point = dict(zip(words, combination, strict=True))
        differing = {name: value for name, value in point.items() if len(words[name]) > 1}
        method = point.pop("method", None)
        yield _clean_at_zero(point | ({} if method is None else method_settings(method))), differing


def split(name: str, value: str) -> list[str]:
    """Split a comma-separated list. Raises UserError for an empty word."""
    words = [word.strip() for word in value.split(",")]
    if not all(words):
        raise UserError(f"{flag(name)}: {value!r} holds an empty word; separate words by single commas: a,b")
    return words


def _clean_at_zero(point: dict[str, Any]) -> dict[str, Any]:
    try:
        clean = float(point["noise_rate"]) == 0
    except (KeyError, TypeError, ValueError):
        return point
    if not clean:
        return point
    noise = {field.name for field in dataclasses.fields(NoiseSettings)}
    return {name: value for name, value in point.items() if name not in noise} | {"noise_type": "none", "noise_rate": 0}


def settings_page(cls: type) -> str:
    """docs/settings.md: every field of a settings dataclass in order, under a heading for its class."""
    types, parts = get_type_hints(cls), [SETTINGS_HEAD]
    for group, fields in groups(cls):
        title, purpose = heading(group)
        parts.append(f"## {title}\n\n{purpose}\n\n{settings_table(fields, types)}\n")
    return "\n".join(parts)


def settings_table(fields: Iterable[dataclasses.Field], types: Mapping[str, Any]) -> str:
    """Settings as a Markdown table. types: of the fields, by name."""
    rows = [_row(field, value_of(field, types[field.name])) for field in fields]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows])


def _row(field: dataclasses.Field, value: str) -> str:
    choices, former = field.metadata["choices"], field.metadata["former"]
    text = field.metadata["help"] + (f"; one of {', '.join(choices)}" if choices else "")
    text += f" (earlier name: `{flag(former)}`)" if former else ""
    taken = "" if choices or not value else f" {value}"
    short = f", {flag(field.metadata['short'])}" if field.metadata["short"] else ""
    return f"| `{flag(field.name)}{short}{taken}` | {'' if field.default is None else field.default} | {text} |"
