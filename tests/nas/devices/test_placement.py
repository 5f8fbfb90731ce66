from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.delegate import Delegate
from nas.devices.logs import parse_log
from nas.devices.measurement import Placement
from nas.devices.placement import accelerated_mac_share, fallbacks, is_cpu, join
from nas.tflite.file import read_tflite
from tests.emulated_phone import models

NNAPI = Delegate("nnapi")
STEPS = ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "TRANSPOSE_CONV", "CONCATENATION", "CONV_2D"]
STEPS += ["CONV_2D"]


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return models.small_unet(tmp_path / "unet.tflite")


def best(*rows: tuple[str, str]) -> str:
    return "\n".join(f"findBestDeviceForEachOperation({op}) = 0 ({where})" for op, where in rows)


def profile(*nodes: tuple[str, int]) -> str:
    rows = [f"\t{kind}\t1.0\t1.0\t1%\t1%\t0\t1\t[x]:{node}" for kind, node in nodes]
    head = "\t[node type]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]"
    return "\n".join(["====== Run Order ======", head, *rows, ""])


def places(path: Path, text: str, delegate: Delegate = NNAPI) -> list[str | None]:
    operations = read_tflite(path).operations
    assert [step.name for step in operations] == STEPS
    return [row.accelerator for row in join(operations, parse_log(text), delegate)]


GIVEN = [("CONV_2D", "dsp"), ("MAX_POOL_2D", "dsp"), ("CONV_2D", "gpu")]
GIVEN += [("CONCATENATION", "dsp"), ("CONV_2D", "nnapi-reference"), ("CONV_2D", "dsp")]
EXPECTED = ["dsp", "dsp", "gpu", "cpu", "dsp", "nnapi-reference", "dsp"]


def test_the_profile_tells_exactly_which_ones_stayed(unet: Path) -> None:
    rows = [("TfLiteNnapiDelegate", 7), ("TRANSPOSE_CONV", 3), ("TfLiteNnapiDelegate", 8)]
    assert places(unet, best(*GIVEN) + "\n" + profile(*rows)) == EXPECTED


def test_without_a_profile_the_names_are_aligned(unet: Path) -> None:
    assert places(unet, best(*GIVEN)) == EXPECTED


def test_of_several_compilations_the_last_counts(unet: Path) -> None:
    first = [(op, "old") for op, _ in GIVEN]
    rows = [("TfLiteNnapiDelegate", 7), ("TRANSPOSE_CONV", 3), ("TfLiteNnapiDelegate", 8)]
    text = best(*first) + "\npartitionTheWork: source model\n" + best(*GIVEN)
    assert places(unet, text + "\n" + profile(*rows)) == EXPECTED


def test_operations_that_nnapi_adds_are_skipped(unet: Path) -> None:
    added = [*GIVEN[:2], ("DEQUANTIZE", "dsp"), *GIVEN[2:]]
    assert places(unet, best(*added)) == EXPECTED


def test_a_fallback_of_the_whole_run(unet: Path) -> None:
    found = places(unet, best(*GIVEN) + "\ncpuFallbackFull")
    assert all(is_cpu(place) for place in found)
    assert found[3] == "cpu"


def test_what_xnnpack_took_is_on_the_cpu(unet: Path) -> None:
    rows = [("TfLiteNnapiDelegate", 7), ("TfLiteXNNPackDelegate", 9), ("TfLiteNnapiDelegate", 8)]
    assert places(unet, best(*GIVEN) + "\n" + profile(*rows)) == EXPECTED
    gpu = [("TfLiteGpuDelegateV2", 7), ("TfLiteXNNPackDelegate", 8)]
    assert set(places(unet, profile(*gpu), Delegate("gpu"))) == {None}  # nobody says which


def test_other_delegates_bear_tflites_names(unet: Path) -> None:
    text = "Explicitly applied GPU delegate, and the model graph will be partially executed by the "
    text += "delegate w/ 2 delegate kernels.\n"
    rows = [("TfLiteGpuDelegateV2", 7), ("TRANSPOSE_CONV", 3), ("TfLiteGpuDelegateV2", 8)]
    found = join(read_tflite(unet).operations, parse_log(text + profile(*rows)), Delegate("gpu"))
    assert found[3] == Placement(3, "TRANSPOSE_CONV", "cpu")
    assert [row.accelerator for row in found].count("gpu") == 6
    unknown = join(read_tflite(unet).operations, parse_log(text), Delegate("gpu"))
    assert {row.accelerator for row in unknown} == {None}  # partly, but nobody says which


def test_share_of_the_macs_by_hand(unet: Path) -> None:
    rows = tuple(
        Placement(n, op, "cpu" if op == "TRANSPOSE_CONV" else "dsp") for n, op in enumerate(STEPS)
    )
    conv = [9 * 3 * 4 * 256, 9 * 4 * 4 * 64, 9 * 8 * 4 * 256, 9 * 4 * 3 * 256]
    transposed = 4 * 4 * 4 * 64
    expected = sum(conv) / (sum(conv) + transposed)
    assert accelerated_mac_share(unet, rows) == pytest.approx(expected)
    assert fallbacks(rows) == {"TRANSPOSE_CONV": [3]}
    assert accelerated_mac_share(unet, rows[1:]) is None  # a convolution's place is unknown
