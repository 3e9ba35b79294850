"""``syncd demo``: the whole path in a minute, on a made-up repository and a local DataCite."""

import json
import shutil
import tempfile
from pathlib import Path

import click
from rich.console import Console

from syncd import logs
from syncd.cli.looking import print_failures, print_sums
from syncd.cli.output import console, table
from syncd.demo.story import Story, play, write_configuration
from syncd.errors import ExitCode, SyncdError, UsageError
from syncd.sandbox.server import RunningSandbox, Sandbox


@click.command()
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="Leave databases and configuration here."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The sandbox's port; 0 picks a free one.")
def demo(keep: Path | None, port: int) -> int:
    """Show the whole path on a made-up repository and a local DataCite.

    240 records in four tables, one pass, a second pass that costs nothing, seven edits and exactly seven
    requests. Nothing leaves this machine.

    Example: syncd demo --keep /tmp/syncd-demo
    """
    logs.configure("error")
    folder = keep or Path(tempfile.mkdtemp(prefix="syncd-demo-"))
    if keep and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty", hint="choose a folder that does not exist yet")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from error
    out = console()
    running = RunningSandbox(Sandbox(), port=port)
    try:
        with running.in_background():
            path = write_configuration(
                folder, f"sqlite:///{folder.absolute()}/repository.db", f"sqlite:///{folder.absolute()}/state.db",
                running.address,
            )  # fmt: skip
            story = play(path, running, lambda chapter, so_far: _tell(out, chapter, so_far, running.address))
        if keep:
            world = folder / "world.json"
            world.write_text(json.dumps(running.world(), ensure_ascii=False), encoding="utf-8")
            _what_next(out, folder, running.address)
    finally:
        if keep is None:
            shutil.rmtree(folder)
    _check(story)
    return ExitCode.DONE


def _tell(out: Console, chapter: str, story: Story, address: str) -> None:
    match chapter:
        case "start":
            out.print(
                f"A repository of {story.records} records in four SQLite tables, and a local DataCite at {address}."
            )
        case "first":
            assert story.first is not None  # noqa: S101 - this chapter has one
            scan, send = story.first.scan, story.first.send
            out.rule("First pass", align="left")
            out.print(
                f"{scan.records} records read, {story.first_requests} PUT requests: one per record that may be sent.\n"
                f"{send.unneeded} need no DOI (restricted, or withdrawn before DataCite had them),"
                f" {scan.without_doi} has none, {send.rejected} is invalid and was stopped before it cost a request."
            )
        case "second":
            out.rule("Second pass, nothing changed", align="left")
            out.print(f"{story.second_requests} requests.")
        case "third":
            out.rule("Seven edits in the repository, third pass", align="left")
            out.print(f"{story.third_requests} requests:")
            out.print(_edits_table(story))
            whole = sum(edit.full_bytes for edit in story.edits)
            sent = sum(edit.bytes for edit in story.edits)
            out.print(f"{sent:,} bytes sent; the seven full records have {whole:,}.")
        case "end":
            out.rule("What stands failed", align="left")
            print_failures(story.failures)
            out.rule("Where every DOI stands", align="left")
            if story.sum is not None:
                print_sums([story.sum])


def _edits_table(story: Story) -> object:
    rows = [
        (edit.doi, edit.what, edit.request, ", ".join(edit.attributes) or "-", edit.bytes, edit.full_bytes, edit.state)
        for edit in story.edits
    ]
    columns = ("DOI", "what changed", "request", "attributes sent", "bytes", "of full", "state at DataCite")
    return table(columns, rows, numbers=("bytes", "of full"))


def _what_next(out: Console, folder: Path, address: str) -> None:
    port = address.rsplit(":", 1)[1]
    out.rule(f"Kept in {folder}", align="left")
    out.print("Start the local DataCite again, with all that it holds, and leave it running:")
    out.print(f"  syncd sandbox --port {port} --world {folder}/world.json", markup=False, soft_wrap=True)
    out.print("Then, in another terminal:")
    for command in ("status", "failures", "show 10.5072/demo.0011", "plan", "sync"):
        out.print(f"  syncd -c {folder}/syncd.toml {command}", markup=False, soft_wrap=True)
    out.print(f"Edit {folder}/repository.db with any SQLite client and run plan and sync again.", soft_wrap=True)


def _check(story: Story) -> None:
    """The demo proves what it says, or fails."""
    expected = (story.second_requests, story.third_requests, story.sum is not None and story.sum.adds_up)
    if expected != (0, len(story.edits), True):
        raise SyncdError(f"the demo did not go as promised: {expected}", hint="please report this with your platform")
