"""A person's own functions, named on a command line as package.module:function."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from project.work import common
from project.work.common import UserError


def load(flag: str, text: str) -> Callable[..., Any]:
    """The function that a setting names. flag: of the setting, for messages. Raises UserError.

    Its module is looked for where Python looks, then in the current folder and in the repository.
    """
    name, _, function = text.partition(":")
    for place in (os.getcwd(), str(common.ROOT)):
        if place not in sys.path:
            sys.path.append(place)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"{flag} {text}: {name} imports {error.name}, which is not installed") from error
        where = f"in {os.getcwd()} or where Python looks"
        raise UserError(f"{flag} {text}: there is no module {error.name} {where}") from error
    except Exception as error:  # a person's code may raise anything
        raise UserError(f"{flag} {text}: {raised(error)} when {name} is imported") from error
    found = getattr(module, function, None)
    if not callable(found):
        raise UserError(f"{flag} {text}: {name} ({getattr(module, '__file__', name)}) has no function {function!r}")
    return found


def raised(error: Exception) -> str:
    """What a person's code raised, and where, in a line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" in {trace.tb_frame.f_code.co_filename} line {trace.tb_lineno}"
    return f"{type(error).__name__} ({' '.join(str(error).split())[:200]}){where}"
