"""What a replaced choice would save: from other trials, and from the paper's phones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nas.networks.candidate import Candidate, Compression
from nas.report.replacements import network_operations, replacements
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.tflite.operations import of_graph
from search_spaces import ARCHITECTURES, UNet, architecture_from_dict

SIZE = (1280, 720)
MATE = "paper:mate30-pro-5g"
SLOW = UNet("transpose-conv", "relu")


def _trial(number: int, network: UNet, device: str, ms: float, psnr_db: float = 30) -> TrialResult:
    candidate = Candidate(network, Compression())
    metrics = {
        f"latency_ms[{device}]": Metric(ms, "measured"),
        "psnr_db": Metric(psnr_db, "measured"),
    }
    key, label, values = candidate.key, candidate.label, candidate.to_dict()
    return TrialResult(number, key, label, values, "complete", {}, metrics)


def _found(result: TrialResult, others: list[TrialResult], device: str) -> list[Any]:
    every = [result, *others]
    return replacements(result, every, [device], SIZE, architecture_from_dict)


def test_another_trial_tells_what_its_choice_costs() -> None:
    slow = _trial(0, SLOW, "host", 100.0)
    fast = _trial(1, replace(SLOW, upsampling="depth-to-space"), "host", 40.0, 29.5)
    slower = _trial(2, replace(SLOW, upsampling="resize-bilinear"), "host", 130.0)
    apart = _trial(3, UNet("depth-to-space", "prelu", (8, 16)), "host", 1.0)
    (one,) = _found(slow, [fast, slower, apart], "host")
    assert (one.what, one.before, one.after) == ("upsampling", "transpose-conv", "depth-to-space")
    assert (one.removed, one.added) == (("TRANSPOSE_CONV",), ("DEPTH_TO_SPACE",))
    assert (one.trial, one.quality_change) == (1, -0.5)
    (saving,) = one.savings
    assert (saving.before_ms, saving.after_ms, saving.source) == (100.0, 40.0, "measured")
    assert saving.change == pytest.approx(-0.6)
    assert _found(fast, [slow, slower, apart], "host") == []


def test_the_paper_s_phone_tells_what_was_never_tried() -> None:
    slow = _trial(0, SLOW, MATE, 54_206.0)
    other = _trial(1, UNet("resize-bilinear", "prelu", (8, 16)), MATE, 3.0)
    found = _found(slow, [other], MATE)
    assert [one.after for one in found] == ["resize-bilinear"]  # prelu is slower there
    (saving,) = found[0].savings
    assert (saving.after_ms, saving.source) == (1184.0, "published")
    assert found[0].trial is None
    assert found[0].quality_change is None


def test_a_pruned_trial_has_its_own_network_s_operations() -> None:
    narrow = UNet("transpose-conv", "relu", (8, 16))
    kept = replace(_trial(0, SLOW, "host", 1.0), conditions={"network": narrow.to_dict()})
    size = (64, 32)
    assert network_operations(kept, size, architecture_from_dict) == of_graph(narrow.graph(), size)
    whole = network_operations(_trial(0, SLOW, "host", 1.0), SIZE, architecture_from_dict)
    assert whole == of_graph(ARCHITECTURES["unet-transposeconv-relu"].graph(), SIZE)
