"""Latencies of a real artifact, and the worst ratio over devices."""

from __future__ import annotations

import re
from pathlib import Path

from evaluators import Latency
from evaluators.latency import worst_ratio
from nas.data import Dataset, open_dataset
from nas.devices import Measurement, TimingProtocol
from nas.networks.candidate import Candidate
from nas.study.evaluator import Subject
from search_spaces import UNet

NETWORK = UNet("resize-bilinear", "prelu", (4, 8), 1, 3, False)


def _converted(height: int, width: int) -> bytes:
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule

    schedule = Schedule(steps=1, identity_start=True)
    return convert_untrained(NETWORK.graph(), height, width, "float", schedule)


def _subject(artifact: Path | None, cache: Path, dataset: Dataset | None = None) -> Subject:
    dataset = dataset or open_dataset("photos")
    return Subject(Candidate(NETWORK), (320, 256), artifact, dataset, ("host",), cache)


def test_latency_is_measured_once_a_structure(artifact: Path, tmp_path: Path) -> None:
    latency = Latency(TimingProtocol(launches=2, runs=2, warmup=0, threads=1))
    first = latency.evaluate(_subject(artifact, tmp_path))
    figure = first["latency_ms[host]"]
    assert figure.source == "measured"
    assert figure.interval is not None
    assert figure.interval[0] <= figure.value <= figure.interval[1]
    # A slow processor is timed more often.
    assert re.fullmatch(r"320x256, 2 launches, \d+ runs, 1 thread", str(figure.conditions))
    assert len(list(tmp_path.glob("*.json"))) == 1
    assert latency.evaluate(_subject(artifact, tmp_path)) == first
    next(tmp_path.glob("*.json")).write_text("{")  # damaged: measured again
    assert latency.evaluate(_subject(artifact, tmp_path)) != first
    assert set(latency.metrics(("host",))) - {"worst_latency_ratio"} <= set(first)


def _measurement(device: str, latency_ms: float, source: str = "measured") -> Measurement:
    return Measurement(device, source, ((latency_ms,),), 1.0, 1.0, None, ())


def test_the_worst_ratio_by_hand() -> None:
    ours = {"a": _measurement("a", 30.0), "b": _measurement("b", 8.0, "synthetic")}
    theirs = {"a": _measurement("a", 20.0), "b": _measurement("b", 4.0)}
    ratio = worst_ratio(ours, theirs)
    assert ratio.value == 2.0
    assert ratio.source == "synthetic"
    assert ratio.conditions == "worst on b; the reference takes 4 ms there"


def test_a_device_without_latencies_promises_none_and_stays_out_of_ratios() -> None:
    spec = "npu:sm8650?partly=allowed"
    told = ("accelerated_mac_share", "cpu_operations", "npu_pieces")
    assert Latency().metrics((spec,)) == tuple(f"{name}[{spec}]" for name in told)
    assert "worst_latency_ratio" in Latency().metrics((spec, "host"))
