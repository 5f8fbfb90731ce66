"""Why models are slow, from a run's folder to the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices.logs.profile import ProfileRow
from nas.networks.candidate import Candidate
from nas.report import gather, write_report
from nas.report.slowness import slowness
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.environment import processor
from nas.system.files import write_json
from nas.tflite.file import read_tflite
from search_spaces import UNet, architecture_from_dict
from tests.helpers.artifacts import artifact, network
from tests.helpers.fake_run import describe
from tests.helpers.report_pages import Page

PHONE = "adb:1"
NETWORK = network("transpose-conv", "relu")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """One trial with a real file, timed on a phone that told a profile, and on this machine."""
    run = RunFolder(tmp_path)
    described = describe((PHONE, "host"), None)
    described["conditions"]["processor"] = processor()
    write_json(tmp_path / "run.json", described)
    file = tmp_path / "trials" / "00000" / "model.tflite"
    file.parent.mkdir(parents=True)
    file.write_bytes(artifact(NETWORK, "float"))
    operations = read_tflite(file).operations
    fallen = next(step.index for step in operations if step.name == "TRANSPOSE_CONV")
    places = [
        {"index": s.index, "op": s.name, "accelerator": "cpu" if s.index == fallen else "npu"}
        for s in operations
    ]
    rows = [ProfileRow("TfLiteNnapiDelegate", 1.0, "", 90), ProfileRow("", 6.0, "", fallen)]
    kept: dict[str, Any] = {"source": "synthetic", "placement": places, "samples_ms": [[10.0]]}
    kept |= {"latency_ms": 10.0, "count": 1}
    kept["conditions"] = {"profile": [row.to_dict() for row in rows]}
    write_json(tmp_path / "measurements" / "p.json", kept)
    candidate = Candidate(NETWORK)
    metrics = {
        f"latency_ms[{PHONE}]": Metric(10.0, "synthetic"),
        "latency_ms[host]": Metric(2.0, "measured"),
        "psnr_db": Metric(30.0, "measured"),
    }
    notes = {PHONE: {"required": True, "measurement": "p", "failure": None}}
    result = TrialResult(
        0, candidate.key, candidate.label, candidate.to_dict(), "complete", {}, metrics,
        artifact="trials/00000/model.tflite", conditions={"devices": notes},
    )  # fmt: skip
    faster = Candidate(replace(NETWORK, upsampling="depth-to-space"))
    cheap = {**metrics, f"latency_ms[{PHONE}]": Metric(4.0, "synthetic")}
    cheap["psnr_db"] = Metric(29.0, "measured")
    run.write_result(result)
    run.write_result(
        TrialResult(1, faster.key, faster.label, faster.to_dict(), "complete", {}, cheap)
    )
    return run


def _profile(path: Path, threads: int) -> list[ProfileRow]:
    assert threads == 2  # the study's
    return [ProfileRow("CONV_2D", 1.5, "", 0), ProfileRow("MAX_POOL_2D", 0.25, "", 1)]


def test_a_phone_s_and_this_machine_s_profiles_are_told_and_kept(run: RunFolder) -> None:
    data = gather(run)
    (model,) = slowness(run, data, data.results[:1], architecture_from_dict, _profile)
    by_device = {one.device: one for one in model.times}
    phone, host = by_device[PHONE], by_device["host"]
    assert (phone.source, phone.total_ms, model.fallen_ms()) == ("synthetic", 7.0, 6.0)
    assert (host.source, host.total_ms) == ("measured", 1.75)
    assert [part.name for part in host.parts] == ["CONV_2D", "MAX_POOL_2D"]
    assert model.missing == {}
    (one,) = model.replacements
    assert (one.after, one.trial) == ("depth-to-space", 1)
    assert len(list(run.profile("", 1).parent.iterdir())) == 1
    (again,) = slowness(run, data, data.results[:1], architecture_from_dict, None)
    assert again == model


def test_another_machine_says_that_it_can_t_profile(run: RunFolder) -> None:
    described = json.loads((run.path / "run.json").read_text())
    described["conditions"]["processor"] = "another one"
    write_json(run.path / "run.json", described)
    data = gather(run)
    (model,) = slowness(run, data, data.results[:1], None, _profile)
    assert [one.device for one in model.times] == [PHONE]
    assert model.missing["host"].startswith("it was not profiled: only the machine of the search")


def test_the_page_and_the_overlays_say_it(run: RunFolder) -> None:
    page = Page(
        write_report(run, 0, read=architecture_from_dict, profile_host=_profile).read_text()
    )
    said = page.sections["slow"]
    assert "86 % of the time is on the CPU: no accelerator takes TRANSPOSE_CONV." in said
    assert "depth-to-space for transpose-conv" in said
    assert "10.0 → 4.00" in said
    assert "−60 %" in said
    overlay = json.loads((run.path / "report" / "trial-0-adb-1.json").read_text())
    operations = read_tflite(run.path / "trials" / "00000" / "model.tflite").operations
    fallen = next(step for step in operations if step.name == "TRANSPOSE_CONV")
    assert overlay["results"][fallen.outputs[0].name] == {"value": 6.0, "bgColor": "#d9534f"}
    tensors = {tensor.name for step in operations for tensor in step.outputs}
    assert overlay["results"].keys() <= tensors
    assert "trial-0-adb-1.json" in page.addresses


def test_a_modelled_run_names_its_slowest_baseline(tmp_path: Path) -> None:
    device = "paper:mate30-pro-5g"
    run = RunFolder(tmp_path)
    described = describe((device,), None)
    described["study"]["size"] = [1280, 720]
    del described["input"]
    write_json(tmp_path / "run.json", {**described, "input": {}})
    for number, (up, ms) in enumerate((("resize-bilinear", 1184.0), ("transpose-conv", 54206.0))):
        candidate = Candidate(UNet(up, "relu"))  # type: ignore[arg-type]
        figures = {
            f"latency_ms[{device}]": Metric(ms, "published"),
            "psnr_db": Metric(31.0 - number, "published"),
        }
        run.write_result(
            TrialResult(
                number, candidate.key, candidate.label, candidate.to_dict(), "complete", {},
                figures, baseline=True,
            )
        )  # fmt: skip
    text = Page(write_report(run, 0, read=architecture_from_dict).read_text()).sections["slow"]
    assert "trial 1 · unet-transposeconv-relu" in text
    assert "no accelerator takes TRANSPOSE_CONV" in text
    assert "54\u202f206 → 1\u202f184" in text
