"""A plain run waits for no package that it has no use for."""

from pathlib import Path

import pytest
import startup

pytestmark = pytest.mark.slow

HEAVY = (
    "cv2", "sklearn", "scipy", "torchvision", "timm", "sympy", "torch._dynamo", "torch._inductor", "requests",
    "gspread",
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The modules of a plain run that has trained and reported, in the order in which they were loaded."""
    folder = tmp_path_factory.mktemp("run")
    words = [startup.MAIN, f"--dataset={prepared}", "--epoch=1", "--device=cpu", f"--output={folder}"]
    return startup.imported(words, folder / "modules.txt")


def test_a_run_ends_without_packages_that_it_does_not_use(loaded: list[str]) -> None:
    assert sorted({"torch", "pandas", *HEAVY} & set(loaded)) == ["pandas", "torch"]


def test_matplotlib_is_there_for_pictures_which_are_drawn_last(loaded: list[str]) -> None:
    drawing = next(place for place, name in enumerate(loaded) if name.startswith("matplotlib"))
    assert drawing > loaded.index("project.work.reporter.reporter")  # which is imported to report
