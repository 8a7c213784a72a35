"""The commands a person types; ./inv --list shows them."""

import sys
from importlib.util import find_spec
from typing import Any

from invoke import Context, task

import make_command
from ai_platform import CloudSettings
from project.command import cloud, containers
from project.command.benchmarks import BenchmarkSettings
from project.command.compare import CompareSettings, run_compare
from project.command.sweep import SweepSettings, run_sweep
from project.command.tasking import run, takes
from project.command.training_job import JobSettings, PullSettings, PushSettings
from project.data_preparation.options import (
    ApplySettings,
    CheckSettings,
    FigureSettings,
    ImageFolderSettings,
    PreparationSettings,
)
from project.work.common import ROOT
from project.work.machine.process import run_command
from project.work.reporter.sheet.resend import ResendSettings
from project.work.settings.groups import NOT_READ, Settings
from project.work.study.summary_settings import SummarySettings

QUICKSTART = {"dataset": "sample", "epoch": "10"}
DRY_RUN = {"dry_run": "print the commands and run nothing"}
OF_ONE_RUN = ("uuid", "resume", "stage", "vote")  # many runs are named by their settings
OF_THIS_MACHINE = ("noise_file", "corrections", "audit_file", "weights", "node_rank", "master")  # a job has none of it


@takes(PreparationSettings)
def prepare(c: Context, **values: Any) -> None:
    """Turn strokes into pictures: a Kaggle or ndjson folder, the public bucket, or the built-in sample."""
    run(c, make_command.script("project/data_preparation/quickdraw.py", values))


@takes(ImageFolderSettings)
def prepare_images(c: Context, **values: Any) -> None:
    """Turn pictures of your own into a data set: one sub-folder a class, or a CSV of path,label."""
    run(c, make_command.script("project/data_preparation/image_folder.py", values))


@takes(Settings, without=NOT_READ["train"])
def train(c: Context, **values: Any) -> None:
    """Train one run here and report its top-1 accuracy."""
    run(c, make_command.script("project/work/main.py", values))


@takes(Settings, without=NOT_READ["oof"])
def oof(c: Context, **values: Any) -> None:
    """Train fold models and write the out-of-fold logits that distillation learns from."""
    run(c, make_command.script("project/work/main.py", {**values, "stage": "oof"}))


@takes(Settings, without=NOT_READ["audit"])
def audit(c: Context, **values: Any) -> None:
    """Find the wrong labels of a data set: how many there are, which, and what they should be."""
    run(c, make_command.script("project/work/main.py", {**values, "stage": "audit"}))


@takes(Settings, without=NOT_READ["features"])
def features(c: Context, **values: Any) -> None:
    """Make one row of features a picture by a pretrained network; --head trains on them in a moment."""
    run(c, make_command.script("project/work/main.py", {**values, "stage": "features"}))


@takes(Settings, without=NOT_READ["look"])
def look(c: Context, **values: Any) -> None:
    """Describe a prepared set on one page: classes, sizes, copies, blank and blurred pictures, outliers."""
    run(c, make_command.script("project/work/main.py", {**values, "stage": "look"}))


@takes(CheckSettings, without=("input",))
def check(c: Context, path: str, **values: Any) -> None:
    """See what is wrong with your pictures: wrong labels, copies, blurred ones, outliers, on one page for review."""
    run(c, make_command.script("project/command/check.py", {"input": path, **values}))


@takes(ApplySettings, without=("corrections",))
def apply_corrections(c: Context, corrections: str, **values: Any) -> None:
    """Take a review back to your own files: corrections.csv -> a new folder, or a new CSV; nothing is changed."""
    run(c, make_command.script("project/data_preparation/apply_corrections.py", {**values, "corrections": corrections}))


@takes(PushSettings)
def push_data(c: Context, **values: Any) -> None:
    """Upload a prepared data set to the bucket, for jobs."""
    run_command(lambda: cloud.push(c.config, values))


@takes(JobSettings, Settings, without=OF_THIS_MACHINE)
def train_ai_platform(c: Context, **values: Any) -> None:
    """Train one run on Google Cloud: submit it as a Vertex AI job and follow it."""
    run_command(lambda: cloud.train(c.config, values))


@takes(SweepSettings, JobSettings, Settings, without=OF_ONE_RUN)
def sweep(c: Context, **values: Any) -> None:
    """Train every combination of settings given as lists, here or as jobs: --learning-rate 0.1,0.03 --seed 0,1,2."""
    run_command(lambda: run_sweep(c.config, values))


@takes(CompareSettings, JobSettings, Settings, without=OF_ONE_RUN)
def compare(c: Context, **values: Any) -> None:
    """Compare methods under label noise: methods x noise rates x seeds, as a page with a verdict in plain words."""
    run_command(lambda: run_compare(c.config, values))


@takes(CloudSettings)
def follow(c: Context, name: str, **values: Any) -> None:
    """Follow a job to its end."""
    run_command(lambda: cloud.follow(c.config, name, values))


@takes(CloudSettings)
def cancel(c: Context, name: str, **values: Any) -> None:
    """Cancel a job."""
    run_command(lambda: cloud.cancel(c.config, name, values))


@takes(CloudSettings, count="how many")
def jobs(c: Context, count: int = 20, **values: Any) -> None:
    """List recent jobs, newest first."""
    run_command(lambda: cloud.jobs(c.config, count, values))


@takes(PullSettings)
def pull_results(c: Context, **values: Any) -> None:
    """Bring the run folders of jobs here and their rows into results.csv."""
    run_command(lambda: cloud.pull(c.config, values))


@task(help=DRY_RUN)
def build_local(c: Context, dry_run: bool = False) -> None:
    """Build the image that experiments run in on this machine."""
    run_command(lambda: containers.build_local(c.config, dry_run))


@task(help=DRY_RUN)
def run_local(c: Context, dry_run: bool = False) -> None:
    """Start a container with this repository in it."""
    run_command(lambda: containers.run_local(c.config, dry_run))


@task(help={"command": "run this in place of a shell", **DRY_RUN})
def attach_local(c: Context, command: str | None = None, dry_run: bool = False) -> None:
    """Open a shell in the container."""
    run_command(lambda: containers.attach_local(c.config, command, dry_run))


@task(help=DRY_RUN)
def stop_local(c: Context, dry_run: bool = False) -> None:
    """Stop the container and what runs in it."""
    run_command(lambda: containers.stop_local(c.config, dry_run))


@task(help={"repository": "where to, over remote.repository in invoke.yaml", **DRY_RUN})
def push_remote(c: Context, repository: str | None = None, dry_run: bool = False) -> None:
    """Build the image of jobs, with the code and no data, and push it to a registry."""
    run_command(lambda: containers.push_remote(c.config, repository, dry_run))


@takes(SummarySettings)
def results(c: Context, **values: Any) -> None:
    """Print the table of results, best first, grouped over seeds."""
    from project.work.study import summary  # which loads pandas

    run_command(lambda: summary.main(make_command.flags(values)))


@takes(ResendSettings)
def report(c: Context, **values: Any) -> None:
    """Send the rows of results.csv that the spreadsheet does not have."""
    run(c, make_command.script("project/work/reporter/sheet/resend.py", values))


@takes(FigureSettings)
def figures(c: Context, **values: Any) -> None:
    """Draw a sheet of prepared pictures, the architecture and the rasterisers."""
    run(c, make_command.script("project/data_preparation/figures.py", values))


@takes(BenchmarkSettings)
def benchmark(c: Context, **values: Any) -> None:
    """Measure speed against the predecessor and other libraries, and draw the picture."""
    run(c, make_command.script("benchmark/everything.py", values))


@task
def settings(c: Context) -> None:
    """Print every setting as docs/settings.md shows it: ./inv settings > docs/settings.md."""
    print(make_command.settings_page(Settings), end="")


@task
def quickstart(c: Context) -> None:
    """Prepare the built-in sample, train on it and report: two minutes on two cores, compiling included."""
    prepare(c, source="sample")
    train(c, **QUICKSTART)
    results(c)


@task(
    help={
        "fast": "leave out the slow tests, for daily work: two to three minutes",
        "lowest": "run both preparations, a training and an audit with the oldest packages admitted, instead",
    }
)
def test(c: Context, fast: bool = False, lowest: bool = False) -> None:  # noqa: PT028, it is a task and no test
    """Check style and types and run the tests, with its own set-up."""
    if lowest:
        run(c, [sys.executable, str(ROOT / "tests" / "lowest_versions.py")])
        return
    if not fast or not all(map(find_spec, ("mypy", "pytest", "ruff", "xdist"))):  # pip takes ten seconds
        run(c, [sys.executable, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[test]"])
    run(c, [sys.executable, "-m", "ruff", "check", str(ROOT)])
    run(c, [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")])
    chosen = ["-m", "not slow", "-n", "auto"] if fast else []  # some of the slow ones measure the machine
    run(c, [sys.executable, "-m", "pytest", "--rootdir", str(ROOT), *chosen, str(ROOT / "tests")])
