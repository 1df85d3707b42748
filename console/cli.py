"""Every command of `panoveil`: options in, one function called, text out."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console import audit as audits
from console import pictures
from console import preflight as preflights
from console import status as statuses
from console.archive.cli import erase, restore
from console.catalogue.cli import catalogue
from console.demo import drives, run, summary
from console.demo.progress import view
from console.evaluate import result as results
from console.evaluate import simulated as simulations
from console.evaluate.draw import LEGEND
from console.evaluate.folder import Wish, evaluate_folder
from console.evaluate.result import Result
from console.evaluate.simulated import Scene, Simulated, evaluate_simulated
from console.evaluate.staging import Wanted
from console.holds.cli import holds_app
from console.ledger.cli import ledger_app
from console.observe.beside import Ports, observed
from console.observe.cli import looking_on, metrics
from console.observe.prometheus import require
from console.quarantine.cli import quarantine_app
from console.recipes.cli import recipes_app
from console.replay.cli import replay
from console.retention.cli import retention_app
from console.rigs.cli import rig_app
from console.stack import stack as stacks
from console.viewer.cli import view as view_drive
from panoveil.contracts.recipe import Obfuscator
from panoveil.detection.views import PlanName

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Turns the raw lens images of survey cars into published, anonymised 360° street panoramas.",
)
app.add_typer(rig_app, name="rig")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(holds_app, name="holds")
app.add_typer(recipes_app, name="recipes")
app.add_typer(retention_app, name="retention")
app.add_typer(ledger_app, name="ledger")
app.command("replay")(replay)
app.command("metrics")(metrics)
app.command("view")(view_drive)
app.command("catalogue")(catalogue)
app.command("restore")(restore)
app.command("erase")(erase)
audit_app = typer.Typer(
    no_args_is_help=True, help="The chain of evidence of a drive: who decided what, on which bytes, with which models."
)
app.add_typer(audit_app, name="audit")

_ERR = Console(stderr=True)
_OUT = Console()


@app.command()
def preflight(
    triton_url: Annotated[
        str | None,
        typer.Option("--triton", help="host:port of a running Triton's gRPC: check its models instead of this machine."),
    ] = None,
) -> None:
    """Check that this machine can run the embedded default; name what is missing and the line that mends it.

    With --triton, check instead that the models which PANOVEIL_FACE_MODEL and PANOVEIL_PLATE_MODEL name keep the tensor contract and
    see the golden picture.
    """
    if triton_url is not None:
        for facts in asyncio.run(preflights.served(triton_url)):
            line = f"{facts.name}, version {facts.version}, sha256 {facts.sha256}: sees the golden picture, from a score of {facts.threshold}"
            _OUT.print(line, soft_wrap=True, markup=False, highlight=False)
        return
    problems = preflights.problems()
    for problem in problems:
        _ERR.print(f"{problem}", soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(78)
    _OUT.print("This machine has everything Panoveil needs.")


@app.command()
def demo(
    world: Annotated[
        Path | None, typer.Option(help="A folder of equirectangular panoramas to photograph instead of the procedural street.")
    ] = None,
    drive: Annotated[
        Path | None, typer.Option(help="A drive folder to send through as it is (with rig.json), photographing nothing.")
    ] = None,
    captures: Annotated[int, typer.Option(min=1, help="How many captures to drive; with --world at most one a picture.")] = 12,
    width: Annotated[int, typer.Option(min=1024, max=16384, help="Panorama width in pixels.")] = 4096,
    defects: Annotated[bool, typer.Option(help="Spoil some captures, to see them quarantined.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed drives the same street.")] = 1,
    archive: Annotated[
        bool, typer.Option(help="Run the archivist too: originals of what is published go into the archive.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where pictures and logs go.")] = stacks.STATE / "demo",
    patience: Annotated[float, typer.Option(help="Seconds after which the demo gives up.")] = 1800.0,
    as_json: Annotated[bool, typer.Option("--json", help="End with the summary as one JSON line on standard output.")] = False,
    observe: Annotated[
        bool,
        typer.Option(
            help="Run Prometheus beside it, with the alert rules, and end with pictures of the dashboards; on a terminal everything "
            "then goes on until Ctrl-C."
        ),
    ] = False,
) -> None:
    """Drive a virtual car through the whole pipeline on this machine.

    Starts an AWS emulator, Triton and the three services on loopback, uploads a drive, waits until every capture is published,
    held or quarantined, prints what happened and stops everything.

    Examples:
        panoveil demo
        panoveil demo --captures 4 --width 2048 --defects
        panoveil demo --captures 4 --width 2048 --archive
        panoveil demo --world ~/panoramas --width 8192
        panoveil demo --drive ~/drives/monday --width 8192 --json
        panoveil demo --defects --observe
    """
    if observe:
        require()  # now, not once everything runs
    console = _ERR if as_json else _OUT
    folder = out / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    showing = view(console)
    try:
        chosen = drives.choose(drives.Wish(world, drive, captures, width, defects, seed), folder, showing)
        watched = run.Watched(looking_on(folder, showing, console)) if observe else None
        result = asyncio.run(run.run(chosen, folder, showing, patience, watched, archive=archive))
    finally:
        showing.close()
    summary.show(result, console)
    if as_json:
        typer.echo(json.dumps(result.as_json()))
    raise typer.Exit(1 if result.lost else 0)


@app.command()
def anonymize(
    source: Annotated[Path, typer.Argument(help="A folder of panoramas or plain photos (JPEG, PNG).")],
    target: Annotated[Path, typer.Argument(help="Where the anonymised ones go, under the same names.")],
    report: Annotated[Path, typer.Option(help="One JSON line an image: boxes as obfuscated, recipe, outcome.")] = Path(
        "report.jsonl"
    ),
    triton_url: Annotated[
        str | None, typer.Option("--triton", help="host:port of a running Triton's gRPC; else one is started.")
    ] = None,
    obfuscator: Annotated[
        Obfuscator | None,
        typer.Option(
            help="inpaint continues the colours from outside, fill takes their mean: nothing of the object is left. "
            "mosaic_noise leaks its coarse colours, blur its coarse shape: a trained reader gets digits and people out of it."
        ),
    ] = None,
) -> None:
    """Anonymise a folder of pictures with the code that the service runs, without streams.

    Exit code 0: every picture was published; 65: some were held or rejected, the report says why.

    Examples:
        panoveil anonymize photos/ safe/ --report safe/report.jsonl
        panoveil anonymize panoramas/ safe/ --triton gpu-host:8001
        panoveil anonymize photos/ safe/ --obfuscator fill
    """
    running = pictures.Running(triton_url, obfuscator=obfuscator)
    counts = asyncio.run(pictures.anonymize_pictures(source, target, report, running, _ERR))
    _OUT.print(
        f"{counts.published} published, {counts.held} held, {counts.rejected} rejected; "
        f"{counts.faces} faces and {counts.plates} plates obfuscated. Report: {report}",
        soft_wrap=True,
    )
    raise typer.Exit(65 if counts.held or counts.rejected else 0)


@app.command()
def evaluate(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A folder with annotations.jsonl and the pictures it names.")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="Score this report of `panoveil anonymize` instead of running.")] = None,
    drawn: Annotated[
        Path | None, typer.Option("--pictures", help="Write the pictures with boxes drawn there, outside of DIR.")
    ] = None,
    shrink: Annotated[
        float | None, typer.Option(min=1, help="Shrink pictures until their median object is so many pixels tall.")
    ] = None,
    enlarge: Annotated[float | None, typer.Option(min=1, help="Enlarge pictures likewise.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many pictures.")] = None,
    simulated: Annotated[bool, typer.Option("--simulated", help="Instead of DIR: the simulator's exact truth.")] = False,
    captures: Annotated[int, typer.Option(min=1, help="With --simulated: how many panoramas.")] = 4,
    width: Annotated[int, typer.Option(min=1024, max=16384, help="With --simulated: panorama width in pixels.")] = 4096,
    seed: Annotated[int, typer.Option(help="With --simulated: the same seed photographs the same.")] = 1,
    world: Annotated[
        Path | None,
        typer.Option(help="With --simulated: equirectangular panoramas to put faces and plates into, not the street."),
    ] = None,
    plan: Annotated[PlanName | None, typer.Option(help="Another view plan than the settings say.")] = None,
    triton_url: Annotated[
        str | None, typer.Option("--triton", help="host:port of a running Triton's gRPC; else one is started.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON line on standard output.")] = False,
) -> None:
    """Say how much of what is annotated the anonymizer hides, by class and height, and how much it hides besides.

    Runs what `panoveil anonymize` runs, into a temporary folder. Shares come with their 95 % confidence bounds (Wilson). The line
    format of annotations.jsonl and of the report stands at the top of console/evaluate/annotated.py.

    With --simulated a virtual car photographs faces and plates at known angles, some put across the ±180° wrap and the seams between
    lenses on purpose; its frames are stitched and anonymised, and recall is given by height and place too.

    Exit code 0: every picture was published; 65: some were held, rejected or have no answer, and count as not hidden.

    Examples:
        panoveil evaluate --simulated --captures 8 --width 8192
        panoveil evaluate --simulated --world panoramas/ --json
        panoveil evaluate faces/dev --pictures looked-at/
        panoveil evaluate plates/dev --shrink 16 --plan thorough --json
        panoveil anonymize plates/dev/images safe/ --report r.jsonl; panoveil evaluate plates/dev --boxes r.jsonl
    """
    scene, running = Scene(captures, width, seed, world), pictures.Running(triton_url, plan)
    if simulated == (directory is not None):
        raise typer.BadParameter("name a folder, or --simulated")
    if boxes is not None and (shrink or enlarge or plan or triton_url or simulated):
        raise typer.BadParameter("--boxes scores what was found before in DIR: nothing that asks for a run goes with it")
    if (shrink and enlarge) or (simulated and (shrink or enlarge or limit)):
        raise typer.BadParameter("either --shrink or --enlarge; neither of them, nor --limit, with --simulated")
    if not simulated and scene != Scene():
        raise typer.BadParameter("--captures, --width, --seed and --world say what to photograph: they need --simulated")
    result: Simulated | Result
    if directory is None:
        result = asyncio.run(evaluate_simulated(scene, running, drawn, _ERR))
    else:
        result = asyncio.run(evaluate_folder(Wish(directory, boxes, drawn, limit, Wanted(shrink, enlarge), running), _ERR))
    _show_evaluation(result, drawn, as_json=as_json)


def _show_evaluation(result: Simulated | Result, drawn: Path | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.as_json()))
    elif isinstance(result, Simulated):
        simulations.show(result, _OUT)
    else:
        results.show(result, _OUT)
    if drawn is not None and not as_json:
        _OUT.print(f"Pictures in {drawn}: {LEGEND}", soft_wrap=True, markup=False)
    raise typer.Exit(0 if result.complete else 65)


@app.command()
def up(
    out: Annotated[Path, typer.Option(help="Where the logs go.")] = stacks.STATE / "up",
    observe: Annotated[bool, typer.Option(help="Run Prometheus beside it, with the alert rules.")] = False,
    archive: Annotated[
        bool, typer.Option(help="Run the archivist too: originals of what is published go into the archive.")
    ] = False,
) -> None:
    """Run emulator, Triton and services until Ctrl-C or SIGTERM, so that other commands (status, the agent) find them.

    Examples:
        panoveil up
        panoveil up --archive
        panoveil up --observe
    """
    if observe:
        require()
    services = (*stacks.SERVICES, stacks.ARCHIVIST) if archive else stacks.SERVICES
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_up(out, services, Ports() if observe else None))


async def _up(folder: Path, services: Sequence[str], ports: Ports | None) -> None:
    _cancelled_by_signals()
    async with contextlib.AsyncExitStack() as opened:
        stack = await opened.enter_async_context(stacks.running(folder, ports.for_commands if ports else {}, services))
        _OUT.print(
            f"Running. `panoveil status` finds it; another shell does after: set -a; . {stacks.ENVIRONMENT_FILE}", soft_wrap=True
        )
        for name, url in stack.metrics_urls.items():
            _OUT.print(f"  {name:<12}{url}")
        if ports:
            server = await opened.enter_async_context(observed(stack, ports))
            _OUT.print(f"  prometheus  {server.url}/graph, {server.url}/alerts", soft_wrap=True)
        try:
            while True:
                stack.require_running()
                await asyncio.sleep(1)
        except asyncio.CancelledError:
            _OUT.print("Stopping")


def _cancelled_by_signals() -> None:
    """Let Ctrl-C and SIGTERM cancel this task, also where whoever started us ignores Ctrl-C, as shells do for background jobs."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


@app.command()
def status(
    drive: Annotated[str | None, typer.Argument(help="<survey>/<drive>: list its captures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a drive or capture.")] = False,
) -> None:
    """Say how every drive stands, or every capture of one drive.

    Examples:
        panoveil status
        panoveil status demo/street-1
        panoveil status --json | jq .
    """
    asyncio.run(statuses.show(statuses.settings(), drive, _OUT, as_json=as_json))


_Head = Annotated[str | None, typer.Option("--head", help="<sequence>:<hash>, as an earlier verification printed it.")]


@audit_app.command("verify")
def audit_verify(
    drive: Annotated[str | None, typer.Argument(help="<survey>/<drive>.")] = None,
    file: Annotated[Path | None, typer.Option(help="Verify an exported file instead of the ledger.")] = None,
    head: _Head = None,
    objects: Annotated[
        bool, typer.Option("--objects", help="Hold everything published against the chain, byte for byte.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON line.")] = False,
) -> None:
    """Say whether a drive's audit chain is whole: no entry altered, missing, moved, repeated or cut off.

    Note the head that it prints where nobody who may write to the ledger can change it: later, --head shows whether what was there
    then is still there. Exit code 0: whole; 65: not, the first line says where.

    Examples:
        panoveil audit verify demo/street-1 --objects
        panoveil audit verify demo/street-1 --head 12:5f0c…
        panoveil audit verify --file street-1.audit.jsonl
    """
    if (drive is None) == (file is None) or (file is not None and objects):
        raise typer.BadParameter("name a drive, or an exported file with --file; --objects goes with a drive")
    noted = audits.parse_head(head)
    if file is not None:
        verdict = audits.verify_file(file, noted)
    else:
        verdict = asyncio.run(audits.verify_drive(statuses.settings(), str(drive), noted, objects=objects))
    _show_verdict(verdict, as_json=as_json)


@audit_app.command("export")
def audit_export(
    drive: Annotated[str, typer.Argument(help="<survey>/<drive>.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON line.")] = False,
) -> None:
    """Write a drive's audit chain to one file, for an auditor; the exit code says whether the chain is whole, as `verify` does.

    Examples:
        panoveil audit export demo/street-1 --out street-1.audit.jsonl
    """
    _show_verdict(asyncio.run(audits.export(statuses.settings(), drive, out)), as_json=as_json)


def _show_verdict(verdict: audits.Verdict, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(verdict.as_json()))
    else:
        for finding in verdict.findings:
            _OUT.print(finding, soft_wrap=True, markup=False, highlight=False)
        state = "NOT whole" if verdict.findings else "whole"
        told = f"{verdict.drive_id}: {state}; {verdict.entries} entries, {verdict.objects} objects checked, head {verdict.head}"
        _OUT.print(told, soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(65 if verdict.findings else 0)
