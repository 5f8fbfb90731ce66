"""`nas search --show`: each field, its value, and who said so."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app


def test_each_field_has_its_origin_and_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "2000")
    options = ["--size", "320x192", "--trials", "7", "--baseline", "edsr"]
    done = CliRunner().invoke(app, ["search", "quickstart", *options, "--show"])
    rows = dict(line.strip().split(maxsplit=1) for line in done.stdout.splitlines()[1:])
    told = {name: " ".join(row.split()) for name, row in rows.items()}
    assert told["size"] == "option 320, 192"
    assert told["trials"] == "option 7"
    assert told["baselines"] == "option edsr 32 x14 float"
    assert told["data"] == "default photos"
    assert told["schedule"].startswith("study Schedule(steps=600,")
    assert list(tmp_path.iterdir()) == []
