"""Which operation broke which phone, from made-up placements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.report import gather
from nas.report.operations import FallenOperation, Refusal
from nas.report.page import report_html
from nas.storage.run_folder import RunFolder
from nas.system.files import write_json
from tests.helpers.fake_run import describe, make_results
from tests.helpers.report_pages import Page

A, B = "adb:a", "adb:b?delegate=nnapi"


def _rows(**places: str | None) -> list[dict[str, Any]]:
    return [{"index": n, "op": op, "accelerator": at} for n, (op, at) in enumerate(places.items())]


def _run(folder: Path, notes: list[dict[str, tuple[str | None, str | None]]]) -> RunFolder:
    """A run whose trials have (measurement, failure) by device."""
    run = RunFolder(folder)
    write_json(folder / "run.json", describe())
    for result, devices in zip(make_results(len(notes)), notes, strict=True):
        kept = {
            device: {"required": True, "measurement": key, "failure": failure}
            for device, (key, failure) in devices.items()
        }
        run.write_result(replace(result, conditions={**result.conditions, "devices": kept}))
    return run


def test_fallbacks_and_refusals_are_counted_by_device(tmp_path: Path) -> None:
    documents = {
        "one": _rows(CONV_2D="npu", TRANSPOSE_CONV_2D="cpu"),
        "two": _rows(CONV_2D="npu", TRANSPOSE_CONV_2D="npu", MUL=None),
        "three": _rows(CONV_2D="npu", TRANSPOSE_CONV_2D="nnapi-reference", MUL="cpu"),
        "bad": _rows(CONV_2D="npu", DEPTH_TO_SPACE="npu"),
        "good": _rows(CONV_2D="npu"),
    }
    for key, rows in documents.items():
        write_json(tmp_path / "measurements" / f"{key}.json", {"placement": rows})
    run = _run(
        tmp_path,
        [
            {A: ("one", None), B: ("good", None), "host": ("one", None)},
            {A: ("two", None), B: ("bad", "OP_FAILED <b>")},
            {A: ("three", None), B: (None, "unplugged")},
            {A: ("gone", None), "adb:c?delegate=cpu": ("one", None)},
        ],
    )
    data = gather(run)
    assert data.fallen == (
        FallenOperation(A, "TRANSPOSE_CONV_2D", ("cpu", "nnapi-reference"), (0, 2), 3),
        FallenOperation(A, "MUL", ("cpu",), (2,), 2),
    )
    assert data.refusals == (
        Refusal(B, True, (1,), "OP_FAILED <b>", ("DEPTH_TO_SPACE",)),
        Refusal(B, False, (2,), "unplugged", ()),
    )
    page = Page(report_html(data))
    assert "Operations that fell back, over all trials" in page.sections["slow"]
    assert page.rows["operations"][1:] == [
        [A, "TRANSPOSE_CONV_2D", "cpu, nnapi-reference", "2", "3"],
        [A, "MUL", "cpu", "1", "2"],
    ]
    assert "OP_FAILED <b>" in page.sections["operations"]  # escaped: no element of that name


def test_a_run_without_phones_has_no_such_section(tmp_path: Path) -> None:
    data = gather(_run(tmp_path, [{"host": ("one", None)}]))
    assert data.fallen == data.refusals == ()
    assert "operations" not in Page(report_html(data)).sections
