from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.networks.candidate import Candidate, Compression
from nas.predictor import Prediction
from nas.search import predicted_latency as module
from nas.search.predicted_latency import PredictedLatency, predicted_latency
from search_spaces import UNet
from tests.helpers.small_study import small_study

FAST, SLOW = UNet(widths=(8, 8), convolutions=1), UNet(widths=(16, 16), convolutions=1)


class ByMacs:
    """A predictor of a millisecond a million MACs, half in integers."""

    def predict(self, graph: Any, size: tuple[int, int], precision: str) -> Prediction:
        ms = graph.macs(size[1], size[0]).conv / 1e6 * (1 if precision == "float" else 0.5)
        return Prediction(ms, (0.9 * ms, 1.1 * ms), 0.9, ())


def test_latencies_and_their_worst_ratio_are_modelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_read", lambda path: {"host": ByMacs()})
    found = PredictedLatency(Path("file"), "k", Candidate(SLOW)).evaluate(
        SimpleNamespace(  # type: ignore[arg-type]
            candidate=Candidate(FAST, Compression("int8-ptq")), size=(64, 32), devices=("host",)
        )
    )
    own, theirs = (net.graph().macs(32, 64).conv / 1e6 for net in (FAST, SLOW))
    assert found["latency_ms[host]"].value == pytest.approx(own / 2)
    assert found["latency_ms[host]"].interval == pytest.approx((0.45 * own, 0.55 * own))
    assert found["worst_latency_ratio"].value == pytest.approx(own / 2 / theirs)
    assert {metric.source for metric in found.values()} == {"modelled"}


def test_without_a_predictor_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    study = replace(small_study(), name="none-was-fitted")
    why = predicted_latency(study, tmp_path)
    assert isinstance(why, str)
    assert "no predictor of host was fitted yet" in why
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "run.json").write_text("{}")
    assert predicted_latency(study, tmp_path) == "it was started so"
