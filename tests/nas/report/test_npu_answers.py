"""NPUs are asked what replacements would save: once, kept, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices.npu.failures import npu_error
from nas.errors import ConversionError
from nas.networks.candidate import Candidate, Compression
from nas.report import gather, write_report
from nas.report.npu_answers import KeptAnswers, Question, ask, questions
from nas.report.replacements import Answer, replacements
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.files import write_json
from search_spaces import UNet, architecture_from_dict
from search_spaces.suggestions import suggestions
from tests.helpers.fake_run import describe
from tests.helpers.report_pages import Page

NPUS = ("npu:sm8650", "npu:sa8255")
SLOW = UNet("resize-bilinear", "relu", (8, 16), 1, 3)
TRIED = replace(SLOW, upsampling="transpose-conv")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Two trials that differ by their up-sampling, on two NPUs."""
    made = RunFolder(tmp_path)
    write_json(tmp_path / "run.json", describe(NPUS, None))
    for number, network in enumerate((SLOW, TRIED)):
        candidate = Candidate(network, Compression("int8-ptq"))
        figures = {f"latency_ms[{npu}]": Metric(4.0 - number, "modelled") for npu in NPUS}
        figures["psnr_db"] = Metric(31.0 - number, "measured")
        key, label, values = candidate.key, candidate.label, candidate.to_dict()
        made.write_result(TrialResult(number, key, label, values, "complete", {}, figures))
    return made


def _make(candidate: Mapping[str, Any]) -> bytes:
    if candidate["architecture"].get("skip") == "addition":
        raise ConversionError("it has no additions")
    return candidate["architecture"]["activation"].encode()


def _npu(device: str, file: Path) -> Answer:
    if device == NPUS[1]:
        return Answer(None, "simulated", "PRELU is left to the CPU")
    return Answer(1.0 if file.read_bytes() == b"prelu" else 5.0, "modelled", "a compiler")


def _asked(run: RunFolder) -> list[Question]:
    results = gather(run).results
    return questions(run, results[:1], results, suggestions)


def test_what_a_trial_tells_is_not_asked(run: RunFolder) -> None:
    asked = _asked(run)
    assert {one.device for one in asked} == {*NPUS}
    assert {one.words for one in asked} == {
        "depth-to-space for resize-bilinear", "addition for concatenation", "prelu for relu",
        "strided-conv for max-pool", "space-to-depth for max-pool",
    }  # fmt: skip
    assert len(asked) == 2 * 5


def test_answers_are_kept_and_shown(run: RunFolder) -> None:
    heard: list[int] = []
    assert ask(run, _asked(run), _make, _npu, lambda number, one: heard.append(number)) == 0
    assert heard == list(range(10))
    assert _asked(run) == []  # a second report asks nothing
    data = gather(run)
    size, read = (64, 48), architecture_from_dict
    found = replacements(
        data.results[0], data.results, NPUS, size, read, suggestions, KeptAnswers(run)
    )
    assert [(one.after, one.best) for one in found] == [("prelu", -0.75), ("transpose-conv", -0.25)]
    (saving,) = found[0].savings
    assert (saving.device, saving.after_ms, saving.source) == (NPUS[0], 1.0, "modelled")
    assert found[0].refused == ((NPUS[1], "PRELU is left to the CPU"),)
    page = write_report(run, 0, read=read, suggest=suggestions).read_text()
    said = Page(page).sections["slow"]
    assert "prelu for relu" in said
    assert "4.00 → 1.00" in said
    assert "does not run there" in said
    assert "further replacement" not in said.split("Trial 1")[0]


def test_a_busy_machine_leaves_a_question_open(run: RunFolder) -> None:
    def busy(device: str, file: Path) -> Answer:
        raise npu_error(device, "timeout", "no answer in time")

    asked = _asked(run)
    assert ask(run, asked, _make, busy, lambda number, one: None) == 8  # two were never made
    assert _asked(run) == [one for one in asked if "addition" not in one.words]
    kept = KeptAnswers(run)(NPUS[0], next(o.candidate for o in asked if "addition" in o.words))
    assert kept == Answer(None, "computed", "it has no additions")


def test_the_page_says_how_to_ask(run: RunFolder) -> None:
    said = Page(write_report(run, 0, read=architecture_from_dict, suggest=suggestions).read_text())
    assert "nas report RUN --ask-npus 3" in said.sections["slow"]
    assert "`" not in said.sections["slow"]
