"""The paper's protocol on the three phones like the paper's, with networks of the paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.failures import PhoneStableError
from nas.devices.fleet import measure_everywhere
from nas.devices.measurement import TimingProtocol
from nas.devices.placement import is_cpu
from nas.networks.candidate import Architecture
from nas.training.schedule import Schedule
from search_spaces import DBPN, UNet
from tests.helpers.phones import StartPhone

PHONES = ("mate30-like", "reno3-like", "pixel4-like")
PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=60)


def _file(folder: Path, architecture: Architecture) -> Path:
    from nas.compression.convert import convert_untrained

    schedule = Schedule(steps=1, batch=1, patch=32, learning_rate=1e-3)
    path = folder / f"{architecture.label}.tflite".replace("/", "-")
    path.write_bytes(convert_untrained(architecture.graph(), 32, 32, "float", schedule))
    return path


def test_networks_of_the_paper_on_phones_like_the_papers(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    specs = [f"adb:{start_phone(name).address}?protocol=paper" for name in PHONES]
    unet = _file(tmp_path, UNet("transpose-conv", "relu", (4, 8), 1, 3, True))
    fallen = []
    for outcome in measure_everywhere(unet, specs, PROTOCOL, tmp_path / "cache"):
        assert outcome.measurement is not None
        assert outcome.measurement.latency_ms > 0
        rows = outcome.measurement.placement
        (where,) = [row.accelerator for row in rows if row.op == "TRANSPOSE_CONV_2D"]
        fallen.append(where)
    assert fallen == ["nnapi-reference", "neuron-ann", "nnapi-reference"]
    assert [is_cpu(where) for where in fallen] == [True, False, True]
    refused = measure_everywhere(
        _file(tmp_path, DBPN().narrowed()), specs, PROTOCOL, tmp_path / "cache"
    )
    for outcome in refused:
        assert outcome.measurement is None
        assert isinstance(outcome.error, PhoneStableError)
        assert outcome.error.failure.failure_class == "nnapi_error"
        assert outcome.error.failure.code == "ANEURALNETWORKS_OP_FAILED"
        assert "TRANSPOSE_CONV_2D" in {row.op for row in outcome.error.placement}
        assert (tmp_path / "cache" / f"{outcome.key}.json").is_file()  # a result, and kept


@pytest.mark.parametrize("name", PHONES)
def test_a_small_network_of_plain_convolutions_is_accelerated_whole(
    start_phone: StartPhone, plain: Path, tmp_path: Path, name: str
) -> None:
    spec = f"adb:{start_phone(name).address}?protocol=paper"
    (outcome,) = measure_everywhere(plain, [spec], PROTOCOL, tmp_path / "cache")
    assert outcome.measurement is not None
    assert outcome.measurement.accelerated_mac_share == 1
