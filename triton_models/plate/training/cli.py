"""The command line of training."""

import argparse
import logging
from pathlib import Path

import cv2
import torch

from . import evaluate, fonts, sources
from .deploy import Served
from .export import Notes, export
from .mine import mine
from .network import Detector
from .second import SecondPlan, train_verifier
from .train import Plan, restore, start, train
from .verifier import Verifier

log = logging.getLogger(__name__)

TRAINED_ON = (
    "RobertLucian/license-plate-dataset day ride 1 (MIT); geovisio GoPro Max walk (MIT) and Panoramax survey-vehicle panoramas "
    "(Etalab 2.0 / CC BY-SA 4.0) as backgrounds without plates; synthetic plates drawn with OFL, Apache 2.0 and DejaVu typefaces"
)
DILATION = 0.2
"""Share of its size by which a box should grow on each side before it is blurred."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    options = _parser().parse_args(arguments)
    cv2.setNumThreads(0)  # worker processes are forked, and OpenCV's threads do not survive that
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m triton_models.plate.training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _train_options(commands.add_parser("train", help="train a detector"))
    _export_options(commands.add_parser("export", help="write a checkpoint as ONNX and verify it"))
    _evaluate_options(commands.add_parser("evaluate", help="measure an ONNX model"))
    return parser


def _train_options(parser: argparse.ArgumentParser) -> None:
    plan = Plan()
    parser.set_defaults(run=_train)
    parser.add_argument("--data", type=Path, required=True, help="folder with plates/ and panoramas/")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and typefaces")
    parser.add_argument("--resume", type=Path, help="checkpoint to go on from")
    parser.add_argument("--iterations", type=int, default=plan.iterations, help="where to stop")
    parser.add_argument("--cooldown", type=int, default=plan.cooldown, help="iterations in which the rate falls to zero")
    parser.add_argument("--mine-at", type=int, nargs="*", default=plan.mine_at, help="iterations after which to mine")
    parser.add_argument("--verifier-iterations", type=int, default=SecondPlan().iterations)
    parser.add_argument("--seed", type=int, default=plan.seed)


def _train(options: argparse.Namespace) -> int:
    plan = Plan(options.iterations, options.cooldown, tuple(options.mine_at), seed=options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    state = start(plan)
    if options.resume:
        restore(state, options.resume)
    pictures = sources.load(options.data, fonts.fetch(options.out / "fonts"))
    train(state, plan, pictures, options.out)
    mistakes = mine(Served(state.averaged), pictures)
    train_verifier(state.averaged, pictures, mistakes, SecondPlan(options.verifier_iterations), options.out)
    return 0


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_export)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--verifier", type=Path, help="weights of the second opinion")
    parser.add_argument("--out", type=Path, required=True, help="model.onnx to write")
    parser.add_argument("--threshold", type=float, required=True, help="the score from which a box should count")
    parser.add_argument("--version", default="1")


def _export(options: argparse.Namespace) -> int:
    detector = Detector()
    detector.load_state_dict(torch.load(options.checkpoint, weights_only=True)["averaged"])
    verifier = _verifier(options.verifier) if options.verifier else None
    export(Served(detector, verifier), options.out, Notes(options.threshold, DILATION, TRAINED_ON, options.version))
    return 0


def _verifier(path: Path) -> Verifier:
    verifier = Verifier()
    verifier.load_state_dict(torch.load(path, weights_only=True))
    return verifier.eval()


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_evaluate)
    parser.add_argument("--model", type=Path, required=True, help="model.onnx to measure")
    parser.add_argument("--yardstick", type=Path, required=True, help="score.py")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines to write")
    parser.add_argument("--trial", action="append", type=_trial, default=[], help="FOLDER[:HEIGHT[:ENLARGE]], repeated")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.4, 0.5])
    parser.add_argument("--dilation", type=float, default=DILATION, help="share by which boxes grow on each side")


def _trial(text: str) -> evaluate.Trial:
    folder, height, enlarge = [*text.split(":"), *("0", "1")[text.count(":") :]]
    return evaluate.Trial(Path(folder), int(height), int(enlarge))


def _evaluate(options: argparse.Namespace) -> int:
    evaluate.evaluate(options.model, options.trial, options.threshold, options.dilation, options.yardstick, options.out)
    log.info("%.0f ms a megapixel on one thread", evaluate.pace(options.model))
    return 0
