"""Calibrations of other houses, turned into our rigs. What is read of each format, and what is refused, stands in docs/rig.md."""

from console.rigs.importers._assemble import Imported, check_sizes, checked
from console.rigs.importers._door import import_rig, layout_of, load_rig, panoveil_rig, picture_size
from console.rigs.importers._draft import Axes, Format, LensModel, Pose, Wish
from console.rigs.importers.layout import poses_of_yaws
from console.rigs.importers.nuscenes import nuscenes_drive, nuscenes_rig

__all__ = [
    "Axes",
    "Format",
    "Imported",
    "LensModel",
    "Pose",
    "Wish",
    "check_sizes",
    "checked",
    "import_rig",
    "layout_of",
    "load_rig",
    "nuscenes_drive",
    "nuscenes_rig",
    "panoveil_rig",
    "picture_size",
    "poses_of_yaws",
]
