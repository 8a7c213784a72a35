"""Command line: draw image_sample.png (the prepared pictures), env.png (the architecture) and raster.png.

Those of the README: ./inv figures --dataset sample --output fig
"""

if __name__ == "__main__":  # before anything that takes a while to load
    from project.work.machine import process

    process.begin()


from collections.abc import Sequence
from pathlib import Path

from project.data_preparation.architecture import draw_environment
from project.data_preparation.options import FigureSettings
from project.data_preparation.raster_figure import draw_rasters
from project.data_preparation.sample_sheet import draw_samples
from project.work.common import INPUT, OUTPUT, UserError
from project.work.dataset import storage
from project.work.machine.process import run_command
from project.work.settings.flags import parse


def choose(folder: Path, dataset: str | None) -> Path:
    """The prepared set to draw. Raises UserError when there is none."""
    names = ("quickdraw", "sample") if dataset is None else (dataset,)
    for name in names:
        if (folder / name / storage.LABEL_NAME).exists():
            return folder / name
    advice = "run ./inv prepare --source sample first"
    raise UserError(f"{folder}: nothing prepared under the name {' or '.join(names)}; {advice}")


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the pictures from the command line."""
    settings = parse(FigureSettings, argv, "Draw a sheet of prepared pictures, the architecture and the rasterisers.")
    source = choose(INPUT if settings.input is None else Path(settings.input).expanduser(), settings.dataset)
    output = OUTPUT / "figures" if settings.output is None else Path(settings.output).expanduser()
    output.mkdir(parents=True, exist_ok=True)
    draw_samples(storage.read(source), output / "image_sample.png", dataset=source.name)
    draw_environment(output / "env.png")
    draw_rasters(output / "raster.png")
    print(f"{output}: {source} in image_sample.png, the architecture in env.png, the rasterisers in raster.png")


if __name__ == "__main__":
    run_command(main)
