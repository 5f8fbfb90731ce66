from pathlib import Path
from typing import Any

import pytest

from evaluators import ModelledLatency, ModelledQuality
from nas.data import open_dataset
from nas.devices import TimingProtocol
from nas.devices.paper_phones.device import open_modelled
from nas.errors import ConfigError
from nas.networks.candidate import Candidate, Compression
from nas.search.driver import search
from nas.study.evaluator import DeviceRefusedError, Subject
from search_spaces import UNet
from search_spaces.dbpn import DBPN
from studies import portable

PHONES = portable.PHONES
NETWORK = Candidate(UNet("depth-to-space", "prelu", (32, 64, 128, 144, 128)))


def subject(candidate: Candidate, **more: Any) -> Subject:
    size = more.pop("size", (1280, 720))
    return Subject(candidate, size, None, open_dataset("photos"), PHONES, Path(), **more)


def test_the_papers_choice_is_its_own_measure() -> None:
    figures = ModelledLatency(portable.CHOSEN).evaluate(subject(portable.CHOSEN))
    assert figures["worst_latency_ratio"].value == 1.0
    latencies = [figures[f"latency_ms[{phone}]"] for phone in PHONES]
    assert [metric.value for metric in latencies] == [1281, 1503, 9770]
    assert {metric.source for metric in latencies} == {"published"}
    assert ModelledQuality().evaluate(subject(portable.CHOSEN))["psnr_db"].value == 31.87


def test_other_networks_get_what_the_device_says_of_their_file(tmp_path: Path) -> None:
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule

    figures = ModelledLatency(portable.CHOSEN).evaluate(subject(NETWORK))
    path = tmp_path / "model.tflite"
    graph = NETWORK.architecture.graph()
    path.write_bytes(convert_untrained(graph, 720, 1280, "float", Schedule(steps=1)))
    for phone in PHONES:
        figure = figures[f"latency_ms[{phone}]"]
        assert figure.source == "modelled"
        measured = open_modelled(phone).measure(path, TimingProtocol())
        assert figure.value == pytest.approx(measured.latency_ms, rel=1e-9)
        assert figure.interval == pytest.approx(measured.interval_ms, rel=1e-9)
    ratios = {
        phone: figures[f"latency_ms[{phone}]"].value / published
        for phone, published in zip(PHONES, (1281, 1503, 9770), strict=True)
    }
    assert figures["worst_latency_ratio"].value == max(ratios.values())


def test_a_network_that_the_paper_saw_fail_is_refused() -> None:
    with pytest.raises(DeviceRefusedError, match="ANEURALNETWORKS_OP_FAILED") as caught:
        ModelledLatency(portable.CHOSEN).evaluate(subject(Candidate(DBPN())))
    assert caught.value.device == PHONES[0]


def test_only_the_papers_phones_at_the_papers_size() -> None:
    with pytest.raises(ConfigError, match=r"knows the paper's phones.*, not host"):
        ModelledLatency(portable.CHOSEN).metrics(("host",))
    with pytest.raises(ConfigError, match="are for 1280x720, but the study's size is 640x368"):
        ModelledQuality().evaluate(subject(NETWORK, size=(640, 368)))


def test_a_search_by_models_alone_trains_and_converts_nothing(tmp_path: Path) -> None:
    run = search(portable.STUDY, tmp_path, trials=20)
    results = run.results()
    baselines = [result for result in results if result.baseline]
    assert len(baselines) == 14
    assert {r.state for r in results} <= {"complete", "infeasible"}
    assert not any(result.artifact or result.weights for result in results)
    assert not (tmp_path / "weights").exists()
    assert all(
        -1 < m.value < 200_000
        for r in results
        for m in r.metrics.values()
        if m.source == "modelled"
    )
    pruned = next(r for r in baselines if r.candidate["compression"] == _half())
    assert pruned.value("psnr_db") == pytest.approx(29.81, abs=0.25)  # Table 4's -50 %


def _half() -> dict[str, Any]:
    return Compression("float", 0.5).to_dict()
