"""The commands of `panoveil rig`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.console import Console

from console import status as statuses
from console.rigs import calibrate as calibrations
from console.rigs import importers, registry, show
from console.rigs.importers import Axes, Format, LensModel, Pose, Wish

rig_app = typer.Typer(
    no_args_is_help=True, help="Rigs: lenses and their calibration. docs/rig.md explains the format and every importer."
)

_ERR = Console(stderr=True)
_OUT = Console()

_File = Annotated[
    Path,
    typer.Argument(
        help="A rig JSON, a .pto, a camchain or OpenCV YAML, a rig_config.json, a calibration.json, or the folder it lies in."
    ),
]


@rig_app.command("show")
def rig_show(
    file: _File,
    picture: Annotated[Path | None, typer.Option(help="Write the coverage map there, as PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line.")] = False,
) -> None:
    """Say what a rig sees: coverage, overlap and parallax between neighbours, pixels a degree, millimetres a pixel on the road.

    A calibration that `rig import` must be told more about goes through `rig import … --out rig.json` first.

    Examples:
        panoveil rig show monday/rig.json --picture coverage.png
        panoveil rig show nuscenes6/ --json | jq .ground
    """
    rig = importers.load_rig(file)
    view = show.describe(rig)
    if as_json:
        typer.echo(json.dumps(view.as_json()))
    else:
        _OUT.print(str(view), markup=False, highlight=False, soft_wrap=True)
    if picture is not None and not cv2.imwrite(str(picture), cv2.cvtColor(show.picture_with_labels(rig), cv2.COLOR_RGB2BGR)):
        raise typer.BadParameter(f"{picture} cannot be written (a .png in a folder that exists)")


@rig_app.command("import")
def rig_import(
    file: _File,
    out: Annotated[Path | None, typer.Option(help="Write our JSON there and ask no pipeline.")] = None,
    kind: Annotated[Format | None, typer.Option("--format", help="Instead of recognising it by content.")] = None,
    rig_id: Annotated[str | None, typer.Option(help="Else format and hash of the calibration.")] = None,
    height: Annotated[float | None, typer.Option(help="Metres from the road to the middle of the lenses.")] = None,
    images: Annotated[Path | None, typer.Option(help="A folder with <lens>.jpg or .png: their sizes must fit.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Image size, where the file has none.")] = None,
    lens_model: Annotated[
        LensModel | None, typer.Option(help="Which of OpenCV's, where four coefficients could be both.")
    ] = None,
    fov: Annotated[
        float | None, typer.Option(min=1, max=350, help="Full angle in degrees that each fisheye images; else 195.")
    ] = None,
    within: Annotated[float, typer.Option(min=0.001, help="Pixels by which a lens of another model may be off.")] = 0.05,
    axes: Annotated[
        Axes | None, typer.Option(help="Axes of the file's poses: ego = ahead, left, up; rig = right, down, ahead.")
    ] = None,
    turn: Annotated[str, typer.Option(metavar="YAW,PITCH,ROLL", help="How the file's frame lies in the car, degrees.")] = "0,0,0",
    yaws: Annotated[str | None, typer.Option(metavar="LENS=DEG,…", help="Where each lens looks, to the right of ahead.")] = None,
    layout: Annotated[Path | None, typer.Option(help="JSON or YAML: per lens yaw, pitch, roll, position.")] = None,
    names: Annotated[str | None, typer.Option(metavar="A,B,…", help="Names of the lenses, in the file's order.")] = None,
) -> None:
    """Check a calibration, turn it into a rig and put it where the services look for it, in the running pipeline or on AWS.

    Reads Hugin .pto, Kalibr camchains, OpenCV YAML and JSON, COLMAP's rig_config.json, OpenSfM, nuScenes-style JSON, double sphere
    JSON and our own. What was assumed is said on standard error.

    Examples:
        panoveil rig import monday/rig.json
        panoveil rig import car.pto --height 2.4 --rig-id car7-2026-04 --out rig.json
        panoveil rig import camchain.yaml --turn 0,17.5,0 --names front,right,rear,left --out rig.json
        panoveil rig import yaml/ --lens-model fisheye --yaws front=0,right=90,back=180,left=270 --images images/ --out rig.json
        panoveil rig import rig_config.json --size 4096x3000 --out rig.json
    """
    wish = Wish(
        format=kind,
        rig_id=rig_id,
        height=height,
        size=_size(size),
        axes=axes,
        turn=_turn(turn),
        poses=_poses(yaws, layout),
        names=tuple(name.strip() for name in names.split(",")) if names else (),
        lens_model=lens_model,
        fov=fov,
        within=within,
    )
    imported = importers.import_rig(file, wish, images)
    for notice in imported.notices:
        _ERR.print(f"note: {notice}", markup=False, highlight=False, soft_wrap=True)
    rig = imported.rig
    if out is None:
        asyncio.run(registry.store(rig, statuses.settings()))
    else:
        out.write_text(rig.model_dump_json(indent=1) + "\n")
    _OUT.print(f"Imported {rig.rig_id}: {len(rig.lenses)} lenses.", soft_wrap=True, highlight=False)


@rig_app.command("drive")
def rig_drive(
    directory: Annotated[Path, typer.Argument(help="A folder with a nuScenes-style calibration.json and its images.")],
    out: Annotated[Path, typer.Argument(help="Where the drive folder goes.")],
    survey: Annotated[str, typer.Option(help="Name of the survey.")] = "import",
    drive: Annotated[str, typer.Option(help="Name of the drive.")] = "nuscenes",
) -> None:
    """Turn one instant of a nuScenes-style folder into a drive folder.

    Examples:
        panoveil rig drive nuscenes6/ drive/ && panoveil demo --drive drive/ --width 4096
    """
    rig = importers.nuscenes_drive(directory, out, survey, drive)
    _OUT.print(f"{out} is a drive of {rig.rig_id}; try: panoveil demo --drive {out}", soft_wrap=True)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise typer.BadParameter(f"--size {text}: give it as 4096x3000")
    return int(width), int(height)


def _turn(text: str) -> tuple[float, float, float]:
    try:
        yaw, pitch, roll = map(float, text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"--turn {text}: give yaw, pitch and roll in degrees, as 0,17.5,0") from error
    return yaw, pitch, roll


def _poses(yaws: str | None, layout: Path | None) -> dict[str, Pose]:
    if yaws is not None and layout is not None:
        raise typer.BadParameter("either --yaws or --layout")
    if yaws is not None:
        return importers.poses_of_yaws(yaws)
    return importers.layout_of(layout) if layout is not None else {}


@rig_app.command("calibrate-photometry")
def rig_calibrate_photometry(
    drive: Annotated[Path, typer.Argument(help="A drive folder: rig.json and a folder a capture.")],
    rig: Annotated[Path | None, typer.Option(help="The rig, where the drive folder has no rig.json or not this one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the new rig goes; unset: <rig_id>.json in the working directory.")
    ] = None,
    captures: Annotated[int, typer.Option(min=3, help="At most so many captures, evenly spread.")] = 24,
    picture: Annotated[Path | None, typer.Option(help="Write the fall-off curves there, as PNG.")] = None,
) -> None:
    """Estimate vignetting, gains and response of a rig's lenses from where they overlap, and write it as a new rig.

    Moving things, parallax and clipped pixels are trimmed; every capture may have exposures of its own. Texture with grey in it (road,
    walls, sky that is not clipped) is worth more than many captures of the same place.

    Examples:
        panoveil rig calibrate-photometry monday/
        panoveil rig calibrate-photometry monday/ --captures 40 --out rig-p.json --picture fall-off.png
    """

    def on_capture(name: str, trouble: str) -> None:
        _ERR.print(f"{name}: {trouble or 'read'}", markup=False, highlight=False, soft_wrap=True)

    result = calibrations.calibrate(drive, rig, captures, on_capture)
    target = out or Path(f"{result.after.rig_id}.json")
    target.write_text(result.after.model_dump_json(indent=1))
    _OUT.print(calibrations.table(result))
    _OUT.print(f"{calibrations.told(result)}\nWrote {target}.", markup=False, highlight=False, soft_wrap=True)
    if picture is not None:
        cv2.imwrite(str(picture), cv2.cvtColor(calibrations.picture(result.after), cv2.COLOR_RGB2BGR))
