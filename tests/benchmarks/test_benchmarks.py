"""The benchmark's own logic; nothing here measures anything for long."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.failure import BenchmarkError
from benchmarks.layer import FILES, PACKAGES, layer_files
from benchmarks.memory import processes, pss, watch
from benchmarks.report import as_json, markdown, table
from benchmarks.results import THRESHOLDS, Result, Rule, Threshold, judge, judge_rounds
from benchmarks.servers import Program, running
from benchmarks.wire import Endpoint, relative, sign_in, with_digest

REGISTRY = shutil.which("docker-registry")


@pytest.mark.parametrize(
    ("threshold", "ours", "ratio", "met"),
    [
        (Threshold(Rule.RATIO_AT_LEAST, 8), 100.0, 8.0, True),
        (Threshold(Rule.RATIO_AT_LEAST, 8), 100.0, 7.99, False),
        (Threshold(Rule.RATIO_AT_LEAST, 8), 100.0, None, False),
        (Threshold(Rule.VALUE_BELOW, 64), 63.9, None, True),
        (Threshold(Rule.VALUE_BELOW, 64), 64.0, 0.1, False),
        (Threshold(Rule.VALUE_AT_LEAST, 64), 64.0, None, True),
        (Threshold(Rule.VALUE_AT_LEAST, 64), 63.9, 100.0, False),
    ],
)
def test_threshold(threshold: Threshold, ours: float, ratio: float | None, met: bool) -> None:
    assert threshold.met(ours, ratio) is met


def test_what_is_promised() -> None:
    ratios = {n: t.limit for n, t in THRESHOLDS.items() if t.rule is Rule.RATIO_AT_LEAST}
    assert sorted(ratios.values()) == [0.9, 1, 1, 1, 2, 8, 8, 8, 8]
    assert THRESHOLDS["layer inventory"] == Threshold(Rule.VALUE_BELOW, 1)


def test_ratio_of_rounds_is_paired() -> None:
    # Each round is 10 times the peer although the machine slows down to a hundredth.
    result = judge_rounds("blob HEAD", "requests/s", [(1000, 100), (10, 1), (500, 50)])
    assert (result.ours, result.peer, result.ratio) == (500, 50, 10)
    assert result.ok


def test_a_result_without_a_promise_is_ok() -> None:
    result = judge("something else", "s", 2.0, 4.0)
    assert (result.threshold, result.ratio, result.ok) == (None, 0.5, True)
    assert judge("something else", "s", 2.0, 0.0).ratio is None


@pytest.fixture
def results() -> list[Result]:
    return [
        judge_rounds("blob HEAD", "requests/s", [(12000, 1500), (9000, 1500), (3000, 1500)]),
        judge("layer inventory", "s", 0.4321),
    ]


def test_markdown(results: list[Result]) -> None:
    lines = markdown(results, "some machine").splitlines()
    assert lines[0] == "some machine"
    assert lines[4] == (
        "| blob HEAD | requests/s | 9,000 | 1,500 | 6.00 | 2.00 to 8.00 | ratio ≥ 8 | MISSED |"
    )
    assert lines[5] == "| layer inventory | s | 0.43 | - | - |  | < 1 | ok |"
    assert len({line.count("|") for line in lines[2:]}) == 1


def test_table(results: list[Result]) -> None:
    console = Console(width=120, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115 - the console's
    with console.file:
        console.print(table(results))
        text = console.export_text()
    assert "blob HEAD" in text
    assert "9,000" in text
    assert "MISSED" in text


def test_json(results: list[Result]) -> None:
    read = json.loads(as_json(results, "some machine"))
    assert read["machine"] == "some machine"
    assert read["results"][0]["threshold"] == "ratio ≥ 8"
    assert [row["ok"] for row in read["results"]] == [False, True]


def test_memory_of_this_process_and_its_children() -> None:
    alone = pss(frozenset({os.getpid()}))
    assert 5 < alone < 4096
    code = "import time; held = bytearray(64 << 20); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in processes(os.getpid())
        with watch(child.pid) as peak:
            pass
        child.kill()
    assert 64 < peak.mib < 128
    assert pss(frozenset({child.pid})) == 0


def test_layer() -> None:
    sizes = {name: len(content) for name, content in layer_files()}
    assert len(sizes) == FILES
    assert sum(name.endswith(".list") for name in sizes) == PACKAGES
    assert 150e6 < sum(sizes.values()) < 250e6


def test_urls() -> None:
    assert relative("http://127.0.0.1:5000/v2/a/blobs/uploads/1?_state=x") == (
        "/v2/a/blobs/uploads/1?_state=x"
    )
    assert relative("/v2/a") == "/v2/a"
    assert with_digest("/u?_state=x", "sha256:0") == "/u?_state=x&digest=sha256%3A0"
    assert with_digest("/u", "sha256:0") == "/u?digest=sha256%3A0"
    with pytest.raises(BenchmarkError):
        relative(None)


def test_no_sign_in_where_nobody_is_asked() -> None:
    assert sign_in(Endpoint(1), None) == Endpoint(1)


def test_a_server_that_ends_at_once_is_named_with_its_log(tmp_path: Path) -> None:
    program = Program(
        "broken", lambda _folder, _port: [sys.executable, "-c", "exit('no such thing')"], "/"
    )
    with (
        pytest.raises(BenchmarkError, match=r"(?s)ended with 1.*no such thing"),
        running(program, tmp_path / "data"),
    ):
        pass


def test_unknown_measurement() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])
    assert ended.value.code == 2


@pytest.mark.skipif(REGISTRY is None, reason="docker-registry is not installed")
def test_a_short_run_with_docker_registry_on_both_sides(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--self-test", "--quick", "idle", "start"]
    command += ["--json", str(tmp_path / "json"), "--markdown", str(tmp_path / "markdown")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    names = [row["name"] for row in json.loads((tmp_path / "json").read_text())["results"]]
    assert names == ["memory when idle", "first start", "start"]
    assert (tmp_path / "markdown").read_text().strip() == run.stdout.strip()
    assert not list(tmp_path.glob("benchmark-*"))
