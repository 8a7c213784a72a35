"""Starts a run of several processes: finds out which machine this is, and runs main.py under torchrun."""

import json
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from project.work.common import UserError
from project.work.machine import process
from project.work.settings.groups import Settings
from project.work.settings.resolve import gpu_numbers

WORKER = "TORCHELASTIC_RUN_ID"  # torchrun sets it in the processes it starts; RANK may be that of a machine
LOST = 75  # exit code of a process that stops because another one of the run has ended
STARVED = 77  # exit code of a process that ran out of memory
PARENT = "RUN_PARENT"  # environment variable: the process that started those of a run
PORT = 29500


@dataclass(frozen=True)
class Machine:
    """One machine of a run. address, port: of the first machine."""

    rank: int = 0
    count: int = 1
    address: str = "127.0.0.1"
    port: int = PORT


def this_machine(settings: Settings, environment: Mapping[str, str]) -> Machine:
    """Which machine this is, from Vertex AI's CLUSTER_SPEC or else from the settings. Raises UserError.

    Vertex AI also sets RANK and WORLD_SIZE, but they count machines, not processes, so they are not read.
    """
    text = environment.get("CLUSTER_SPEC", "").strip()
    machine = machine_of_cluster(text) if text else _machine_of_settings(settings)
    if settings.nodes not in (None, machine.count):
        raise UserError(f"--nodes {settings.nodes}, but CLUSTER_SPEC names {machine.count} machines")
    return machine


def machine_of_cluster(text: str) -> Machine:
    """CLUSTER_SPEC: {"cluster": {"workerpool0": ["host:2222"], ...}, "task": {"type": "workerpool0", "index": 0}}."""
    try:
        spec = json.loads(text)
        pools = spec["cluster"]
        machines = [(pool, index) for pool in sorted(pools) for index in range(len(pools[pool]))]
        rank = machines.index((spec["task"]["type"], int(spec["task"]["index"])))
        host, _, port = pools["workerpool0"][0].rpartition(":")
        return Machine(rank, len(machines), host or port, int(port) if host else PORT)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"CLUSTER_SPEC: not a cluster as Vertex AI describes it ({error})") from error


def _machine_of_settings(settings: Settings) -> Machine:
    count, rank = settings.nodes or 1, settings.node_rank
    if count == 1:
        return Machine()
    host, _, port = (settings.master or "").rpartition(":")
    if rank is None or rank >= count or not host or not port.isdecimal():
        raise UserError(
            f"--nodes {count}: start it on each machine with --node-rank 0 to {count - 1} and the first one's address"
            " as --master host:port (a job on Vertex AI needs neither)"
        )
    return Machine(rank, count, host, int(port))


def processes_here(settings: Settings) -> int:
    """How many processes share each batch on this machine."""
    return settings.processes or len(gpu_numbers(settings)) or 1


def torchrun(machine: Machine, processes: int, script: str, words: Sequence[str]) -> list[str]:
    """The arguments of torchrun that start a script on a machine."""
    place = ["--standalone", "--local-addr=127.0.0.1"]
    if machine.count > 1:
        place = [f"--nnodes={machine.count}", f"--node-rank={machine.rank}"]
        place += [f"--master-addr={machine.address}", f"--master-port={machine.port}"]
    return [*place, f"--nproc-per-node={processes}", "--", script, *words]  # or torchrun would read --master as its own


def start(words: Sequence[str], processes: int) -> int:
    """Run torchrun with these arguments; returns the exit code of the run.

    The first process has printed why it failed, except for a signal, whose exit code is above 128.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // processes) if hasattr(os, "sched_getaffinity") else 1
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ[PARENT] = str(os.getpid())
    import logging

    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException, api
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    came: list[int] = []

    def stop_once(signum: int, frame: FrameType | None) -> None:
        came.append(signum)
        if len(came) == 1:  # a second one would leave processes behind
            raise SignalException("stopped", sigval=signal.SIGTERM)

    api._terminate_process_handler = stop_once
    logging.disable(logging.CRITICAL)  # torchrun would add a page to our one-line error
    try:
        with process.stoppable():
            run.run(run.parse_args(list(words)))
    except ChildFailedError as error:
        return verdict({rank: failure.exitcode for rank, failure in error.failures.items()})
    except SignalException:
        return 128 + came[0]
    except KeyboardInterrupt as stop:
        return process.code(stop)
    except (OSError, RuntimeError) as error:
        raise UserError(f"the processes of this run did not find each other ({error})") from error
    return 0


def verdict(codes: Mapping[int, int]) -> int:
    """The exit code of a run, from those of the failed processes (negative for a signal).

    Raises UserError where no process can have printed the reason. A process that ended because of another one is not
    the cause; one that aborted may also have ended because of another.
    """
    told = (LOST, -signal.SIGTERM, 128 + signal.SIGTERM)  # the last where the process answers it
    rank, code = min(codes.items(), key=lambda each: (each[1] in told, each[1] == -signal.SIGABRT, each[0]))
    if code == LOST:
        raise UserError("a process of this run on another machine has ended")
    if code == STARVED:
        raise UserError(f"process {rank} of this run is out of memory; lower --batch-size, --image-size or --processes")
    if code < 0:
        name = signal.Signals(-code).name
        why = f" ({process.MEMORY}: lower --batch-size, --image-size or --processes)" if name == "SIGKILL" else ""
        raise UserError(f"process {rank} of this run was ended by {name}{why}")
    return code


def watch_parent() -> None:
    """In a process that `start` started: end when its parent ends, even while torch is being imported."""
    parent = int(os.environ.get(PARENT, os.getppid()))
    threading.Thread(target=end_with_parent, args=(parent,), daemon=True).start()


def end_with_parent(parent: int) -> None:
    """End this process once its parent is gone. A killed parent cannot stop it, and it would hold the run's folder."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(LOST)
