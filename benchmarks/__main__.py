"""`python -m benchmarks`: measure, print the ratios, exit 1 when one of them is not reached."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console

from benchmarks import report
from benchmarks.catalogue import MEASUREMENTS
from benchmarks.context import Context, Effort, client_process
from benchmarks.failure import BenchmarkError
from benchmarks.results import Result
from benchmarks.servers import customhouse, docker_registry, running
from benchmarks.tools import provide

_QUICK = Effort(rounds=2, seconds=1.0, blob_size=16 << 20, share=20)
_BLOBS_A_ROUND = 4  # two ways of pushing, two servers
_BLOBS_BESIDE = 8
_BUSY = 0.25  # of each core
_WIDTH = 140  # of the table where there is no terminal


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [name for name, _ in MEASUREMENTS]
    parser.add_argument("only", nargs="*", metavar="MEASUREMENT", help=", ".join(names))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write them as Markdown")
    parser.add_argument("--rounds", type=int, default=Effort().rounds)
    parser.add_argument("--seconds", type=float, default=Effort().seconds, help="of each round")
    parser.add_argument("--quick", action="store_true", help="short rounds, small blobs")
    parser.add_argument(
        "--self-test", action="store_true", help="docker-registry on both sides, nothing is judged"
    )
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.only) - set(names):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    if parsed.rounds < 1 or parsed.seconds < 1:
        parser.error("at least one round of one second")
    return parsed


def _effort(parsed: argparse.Namespace) -> Effort:
    return _QUICK if parsed.quick else Effort(parsed.rounds, parsed.seconds)


def _check_space(folder: Path, effort: Effort) -> None:
    needed = (effort.rounds * _BLOBS_A_ROUND + _BLOBS_BESIDE) * effort.blob_size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchmarkError(
            f"{folder} has {free >> 20} MiB free, the blobs need {needed >> 20} MiB;"
            " set TMPDIR to a folder on a larger disk, or ask for fewer --rounds"
        )


def _warn_of_load(console: Console) -> None:
    load = os.getloadavg()[0]
    if load > _BUSY * len(os.sched_getaffinity(0)):
        console.print(f"[yellow]the machine is busy (load {load:.1f}):[/yellow] do not trust this")


def _measure(parsed: argparse.Namespace, console: Console) -> list[Result]:
    effort = _effort(parsed)
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        _check_space(folder, effort)
        program = docker_registry() if parsed.self_test else customhouse()
        client = stack.enter_context(client_process())
        ours = stack.enter_context(running(program, folder / "ours"))
        peer = stack.enter_context(running(docker_registry(), folder / "peer"))
        context = Context(ours, peer, effort, folder, client, console)
        return [
            result
            for name, run in MEASUREMENTS
            if not parsed.only or name in parsed.only
            for result in run(context)
        ]


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark.

    Args:
        arguments: of the command line; those of the process by default.

    Returns:
        0 when everything promised was reached, 1 when not, 2 when it could not be measured, 130
        when it was interrupted.
    """
    parsed = _arguments(arguments)
    console = Console(stderr=True)
    console = console if console.is_terminal else Console(stderr=True, width=_WIDTH)
    # A terminated benchmark ends its servers and removes its data as an interrupted one does.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        provide(console)
        _warn_of_load(console)
        results = _measure(parsed, console)
    except BenchmarkError as error:
        console.print(f"[red]not measured:[/red] {error}", markup=True)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    where = report.machine()
    console.print(report.table(results))
    text = report.markdown(results, where)
    print(text)
    if parsed.markdown:
        parsed.markdown.write_text(text)
    if parsed.json:
        parsed.json.write_text(report.as_json(results, where))
    return int(not parsed.self_test and not all(result.ok for result in results))


if __name__ == "__main__":
    sys.exit(main())
