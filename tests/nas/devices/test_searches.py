"""Searches on several devices: one is unplugged, lost, optional, or refuses a network."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from evaluators import Cost, Latency
from nas.devices import TimingProtocol, open_device
from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.failures import PhoneTransientError
from nas.devices.fleet import check_answers
from nas.errors import ConfigError, RunError
from nas.execution.trial.run import RUNS
from nas.execution.trial.task import TrialProgress
from nas.networks.candidate import Candidate, Compression
from nas.report import gather, open_front
from nas.report.explanation import explain_run, explain_trial
from nas.report.png import save_front
from nas.report.trial_devices import explain_devices
from nas.search.driver import search
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.files import write_atomically
from search_spaces import CompressionSpace, UNet, UNetSpace
from tests.emulated_phone import placing
from tests.emulated_phone.compiled_tool import COMPILE_MS
from tests.emulated_phone.libraries import write_qualcomm
from tests.emulated_phone.network import read
from tests.emulated_phone.phone import EmulatedPhone
from tests.helpers.phones import StartPhone, spec_of
from tests.helpers.small_study import small_study

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


SMOOTH = Candidate(UNet("resize-bilinear", "relu", (4, 8), 1, 3, True))


TRANSPOSED = Candidate(UNet("transpose-conv", "relu", (4, 8), 1, 3, True))


SHUFFLED = Candidate(UNet("depth-to-space", "relu", (4, 8), 1, 3, True))


WIDE = Candidate(UNet("resize-bilinear", "relu", (8, 8), 1, 3, True))


SPACE = UNetSpace(
    ("resize-bilinear", "transpose-conv", "depth-to-space"),
    ("relu",), (2,), (4, 8), (1,), (3,), (True,),
)  # fmt: skip


@dataclass(frozen=True)
class Widths:
    """A quality that costs nothing."""

    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db",)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        return {"psnr_db": Metric(30.0 + subject.candidate.key.count("a"), "synthetic")}

    def to_dict(self) -> dict[str, Any]:
        return {"name": "widths"}


class Watches(NobodyWatches):
    """Does something after the first trial; remembers warnings."""

    def __init__(self, after_first: Any = None) -> None:
        self.after_first = after_first
        self.warnings: list[str] = []

    def progress(self, progress: TrialProgress) -> None:
        if progress.stage == "warning":
            self.warnings.append(progress.note)

    def finished(self, result: TrialResult) -> None:
        if self.after_first is not None:
            self.after_first()
            self.after_first = None


def _study(*specs: str, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "space": SPACE,
        "compression": CompressionSpace(("float",)),
        "evaluators": (Latency(PROTOCOL), Widths()),
        "objectives": ("psnr_db", "worst_latency_ratio"),
        "devices": specs,
        "baselines": (SMOOTH, TRANSPOSED, SHUFFLED, WIDE),
        "trials": 4,
    }
    return small_study(**(values | changes))


def _expected_ms(phone: EmulatedPhone, artifact: Path) -> float:
    network = read(artifact.read_bytes())
    plan = placing.plan_nnapi(phone.profile, network, reference=False)
    return placing.modelled_ms(phone.profile, network, plan)


@pytest.fixture(scope="module")
def done() -> dict[Any, Any]:
    """Files and weights that were made before in this module."""
    return {}


@pytest.fixture(autouse=True)
def _made_once(
    done: dict[Any, Any],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Patches, conversions and trainings are pure functions: the next test uses them again."""
    if "start_phone" not in request.fixturenames:
        return
    monkeypatch = request.getfixturevalue("monkeypatch")
    if "cache" not in done:
        done["cache"] = tmp_path_factory.mktemp("shared")
    monkeypatch.setenv("NAS_CACHE_DIR", str(done["cache"]))
    from nas.compression import convert
    from nas.training import train

    untrained, trained, training = (
        convert.convert_untrained, convert.convert_trained, train.train
    )  # fmt: skip

    def kept(key: Any, make: Any) -> Any:
        if key not in done:
            done[key] = make()
        return done[key]

    def convert_untrained(*arguments: Any) -> bytes:
        return kept(("untrained", repr(arguments)), lambda: untrained(*arguments))  # type: ignore[no-any-return]

    def convert_trained(graph: Any, weights: Path, *arguments: Any, **how: Any) -> bytes:
        key = ("trained", repr(graph), weights.read_bytes(), repr(arguments[:-1]), repr(how))
        made: bytes = kept(key, lambda: trained(graph, weights, *arguments, **how))
        return made

    def train_once(graph: Any, workshop: Any, key: str) -> Path:
        path: Path = workshop.folder / key / train.FINAL
        content = kept(("training", key), lambda: training(graph, workshop, key).read_bytes())
        write_atomically(path, lambda file: file.write(content))
        return path

    monkeypatch.setattr(convert, "convert_untrained", convert_untrained)
    monkeypatch.setattr(convert, "convert_trained", convert_trained)
    monkeypatch.setattr(train, "train", train_once)


def test_two_phones_and_the_host_one_of_them_unplugged_in_the_middle(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    first, picky = start_phone(), start_phone("picky")
    a, b = spec_of(first), spec_of(picky)
    unplug = Watches(lambda: first.inject("unplug", "num_runs", seconds=2))
    run = search(_study(a, b, "host"), tmp_path / "run", watcher=unplug)
    results = {result.key: result for result in run.results()}
    assert len(results) == 4
    assert {key: result.state for key, result in results.items()} == {
        SMOOTH.key: "complete",
        TRANSPOSED.key: "complete",
        SHUFFLED.key: "infeasible",
        WIDE.key: "complete",
    }
    assert not list((first.folder / "faults").glob("*.json"))  # the cable was pulled
    reference = results[SMOOTH.key]
    for result in results.values():
        if result.state != "complete":
            continue
        assert result.artifact is not None
        for phone, spec in ((first, a), (picky, b)):
            expected = _expected_ms(phone, run.path / result.artifact)
            assert result.value(f"latency_ms[{spec}]") == pytest.approx(expected, rel=0.03)
        ratios = [
            result.value(f"latency_ms[{spec}]") / reference.value(f"latency_ms[{spec}]")
            for spec in (a, b, "host")
        ]
        assert result.value("worst_latency_ratio") == pytest.approx(max(ratios))
    assert reference.value("worst_latency_ratio") == 1
    assert results[TRANSPOSED.key].value(f"accelerated_mac_share[{a}]") < 1
    assert reference.value(f"accelerated_mac_share[{a}]") == 1
    _check_refusal(results[SHUFFLED.key], a, b)
    _check_report(run, a, b)
    documents = [json.loads(p.read_text()) for p in run.path.glob("measurements/*.json")]
    assert len(documents) == 12  # 4 structures on 3 devices; the reference is one of them


def _check_report(run: RunFolder, a: str, b: str) -> None:
    data = gather(run)
    assert [(row.device, row.op, row.where, row.of) for row in data.fallen] == [
        (a, "TRANSPOSE_CONV_2D", ("cpu",), 1),
        (b, "TRANSPOSE_CONV_2D", ("cpu",), 1),
    ]
    (refusal,) = data.refusals
    assert (refusal.device, refusal.lasting) == (b, True)
    assert refusal.suspects == ("DEPTH_TO_SPACE",)


def _check_refusal(refused: TrialResult, a: str, b: str) -> None:
    assert refused.failure is not None
    assert refused.failure.kind == "DeviceRefusedError"
    assert refused.failure.message.startswith(f"{b}: nnapi_error: ")
    assert "ANEURALNETWORKS_OP_FAILED" in refused.failure.message
    assert refused.failure.message.endswith("; its log blames no operation")
    assert refused.violations[RUNS] > 0
    assert {f"latency_ms[{a}]", "latency_ms[host]"} <= refused.metrics.keys()
    assert f"latency_ms[{b}]" not in refused.metrics
    assert refused.conditions["devices"][b]["failure"] in refused.failure.message
    assert refused.conditions["devices"][a]["failure"] is None


def test_phones_of_four_kinds_and_what_each_result_says(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    """NNAPI of 2020, a GPU that takes a part, an NPU that takes all, one whose compiler fails."""
    kinds = ("mate30-like", "gpu-2024", "npu-2025", "npu-on-cpu")
    old, gpu, npu, broken = map(start_phone, kinds)
    libraries = write_qualcomm(tmp_path / "qairt")
    on_npu: dict[str, Any] = {"delegate": Delegate("npu"), "libraries": libraries}
    a, b = spec_of(old, delegate=Delegate("nnapi")), spec_of(gpu, delegate=Delegate("gpu"))
    c, d = spec_of(npu, **on_npu), spec_of(broken, **on_npu)
    integers = Candidate(SHUFFLED.architecture, Compression("int16-ptq"))
    study = _study(
        a, b, c,
        optional_devices=(d,),
        compression=CompressionSpace(("float", "int16-ptq")),
        evaluators=(Cost(), Latency(PROTOCOL)),
        objectives=("parameters", "worst_latency_ratio"),
        baselines=(TRANSPOSED, SHUFFLED, integers),
        trials=3,
    )  # fmt: skip
    run = search(study, tmp_path / "run")
    names = {a: "old", b: "gpu", c: "npu", d: "broken"}
    results = {result.key: result for result in run.results()}
    said = {key: explain_devices(run, one, names.__getitem__) for key, one in results.items()}
    states = [results[one.key].state for one in (TRANSPOSED, SHUFFLED, integers)]
    assert states == ["complete", "complete", "infeasible"]

    transposed, shuffled = said[TRANSPOSED.key], said[SHUFFLED.key]
    share = results[TRANSPOSED.key].value(f"accelerated_mac_share[{a}]")
    assert 0.5 < share < 1.0
    words = f" ms (synthetic), {100 * share:.1f} % of the MACs accelerated, on the CPU: TRANSPOSE_"
    assert words in transposed[0]
    assert shuffled[1].endswith("100.0 % of the MACs accelerated, on the CPU: DEPTH_TO_SPACE.")
    assert shuffled[2].endswith("accelerated, compiled for the NPU in 2,400 ms.")
    compiled = results[SHUFFLED.key].metrics[f"compile_ms[{c}]"]
    assert (round(compiled.value), compiled.source) == (COMPILE_MS, "synthetic")
    for key in results:
        assert said[key][3].startswith("On broken (optional): not_delegated: 0 of ")
        assert said[key][3].endswith("; Failed to create QNN context: 1002.")
    assert "no accelerator takes" not in " ".join(said[integers.key])  # none came up
    assert said[integers.key][1].startswith("On gpu: crash: Check failed: tfl_tensor")
    assert said[integers.key][2].startswith("On npu: ")

    data = gather(run)
    fallen = {(row.device, row.op) for row in data.fallen}
    assert fallen == {(a, "TRANSPOSE_CONV_2D"), (b, "DEPTH_TO_SPACE")}
    assert {refusal.device: len(refusal.trials) for refusal in data.refusals} == {a: 1, b: 1, d: 3}
    assert data.names[d].name == "Npu-on-CPU"  # though nothing ever ran there
    assert [cost.metric for cost in data.costs] == ["worst_latency_ratio"]
    picture = io.BytesIO()
    save_front(data, picture)  # parameters stand for the quality that nobody asked for
    assert picture.getvalue().startswith(b"\x89PNG")
    found = open_front(run)
    assert explain_run(found)[0].startswith("Trial 1 has the least parameters: ")
    refused = results[integers.key].number
    assert explain_trial(found, refused, str, said[integers.key])[1] == (
        "It is infeasible: a required device can't run it."
    )


def test_a_lost_phone_stops_the_search_and_the_same_command_goes_on(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone, other = start_phone(), start_phone()
    options = {"attempts": 1, "set_aside_after": 2, "reconnect_seconds": 0.3}
    study = _study(
        spec_of(phone, **options), spec_of(other, **options), constraints=("psnr_db>=99",)
    )
    with pytest.raises(RunError, match=r"a required phone is lost: adb:.*--keep-going"):
        search(study, tmp_path / "run", watcher=Watches(phone.unplug))
    assert len(RunFolder(tmp_path / "run").finished_numbers()) == 1
    phone.plug()
    assert adb_server.reconnect(phone.address, 10)
    run = search(study, tmp_path / "run")
    assert {result.failure for result in run.results()} == {None}
    assert len(run.results()) == 4
    assert all(f"latency_ms[{spec}]" in r.metrics for r in run.results() for spec in study.devices)


def test_a_search_goes_on_without_a_lost_phone_where_asked(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    phone, other = start_phone(), start_phone()
    options = {"attempts": 1, "set_aside_after": 2, "reconnect_seconds": 0.3}
    lost, kept = spec_of(phone, **options), spec_of(other, **options)
    watcher = Watches(phone.unplug)
    study = _study(lost, kept, objectives=("psnr_db", "latency_ms"))
    run = search(study, tmp_path / "run", watcher=watcher, on_lost_phone="continue")
    results = run.results()
    assert [f"latency_ms[{lost}]" in result.metrics for result in results] == [True] + [False] * 3
    assert all(f"latency_ms[{kept}]" in result.metrics for result in results)
    assert len(watcher.warnings) == 1
    assert watcher.warnings[0].startswith(f"{lost} is lost, and optional from now on")
    assert results[3].conditions["devices"][lost]["required"] is False
    assert "is set aside" in results[3].conditions["devices"][lost]["failure"]


def test_an_optional_phone_only_notes_what_it_refuses(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    picky = start_phone("picky")
    spec = spec_of(picky)
    study = _study(
        "host",
        optional_devices=(spec,),
        baselines=(SHUFFLED, SMOOTH),
        trials=2,
        objectives=("psnr_db", "latency_ms"),
    )
    refused, other = search(study, tmp_path / "run").results()
    assert refused.state == other.state == "complete"
    assert f"latency_ms[{spec}]" not in refused.metrics
    assert "ANEURALNETWORKS_OP_FAILED" in refused.conditions["devices"][spec]["failure"]
    assert other.value(f"latency_ms[{spec}]") > 0


def test_a_search_starts_with_devices_that_answer(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone, locked = start_phone(), start_phone()
    nobody: Any = open_device("adb:nobody")
    nobody.options = replace(nobody.options, reconnect_seconds=600)
    started = time.monotonic()
    with pytest.raises(ConfigError, match=f"phone nobody is not connected; .*{phone.address}"):
        search(_study(spec_of(phone), "adb:nobody"), tmp_path / "run")
    assert time.monotonic() - started < 300  # a phone that is away would be waited for
    assert not (tmp_path / "run").exists()
    locked.inject("unauthorized")
    locked.unplug()
    locked.plug()
    adb_server.client().disconnect(locked.address)
    adb_server.connect(locked.address)
    with pytest.raises(PhoneTransientError, match="accept this computer's key"):
        search(_study(spec_of(locked)), tmp_path / "run")
    warnings: list[str] = []
    check_answers([spec_of(phone)], [spec_of(locked), "adb:nobody"], warnings.append)
    assert [text.split(" is optional")[0] for text in warnings] == [spec_of(locked), "adb:nobody"]
    assert "accept this computer's key" in warnings[0]
    assert "is not connected" in warnings[1]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="worst_latency_ratio needs a network to refer to"):
        _study("host", baselines=()).check()
    with pytest.raises(ConfigError, match="one twice, or required, too"):
        _study("host", optional_devices=("host",)).check()
    data = {"identity": 1}
    plain_print = small_study().fingerprint(data)
    assert "optional_devices" not in plain_print  # runs of before can be resumed
    optional = small_study(optional_devices=("adb:x",)).fingerprint(data)
    assert optional["optional_devices"] == ["adb:x"]
    assert _study("host").fingerprint(data)["reference"] == SMOOTH.to_dict()
