"""The processes of one run as torchrun starts them, but forked from one that has torch loaded."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing import Process
from unittest.mock import patch

import processes


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def start(count: int, function: Callable[..., None], *arguments: object) -> list[Process]:
    """Start a function in so many processes, each with its rank in the environment."""
    shared = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = []
    for rank in range(count):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        with environment(shared | own):
            started.append(processes.fork(function, *arguments))
    return started


def finish(started: list[Process]) -> list[int]:
    """Their exit codes, in order of rank."""
    return [processes.finish(process) for process in started]


def environment(values: Mapping[str, str]) -> ExitStack:
    """Environment variables for a while."""
    stack = ExitStack()
    stack.enter_context(patch.dict(os.environ, values))
    return stack
