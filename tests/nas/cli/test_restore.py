from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app
from tests.helpers.artifacts import artifact, network
from tests.helpers.envelope import data_of


def test_photos_go_through_a_model(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(artifact(network("depth-to-space", "relu"), "float"))
    Image.fromarray(np.full((40, 70, 3), 99, np.uint8)).save(tmp_path / "p.png")
    given = ["restore", str(model), str(tmp_path / "p.png"), "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(app, given)
    assert said.exit_code == 0, said.output
    assert "out/p.png  70x40 in 8 tiles, seams of" in said.stdout
    assert "before and after:" in said.stderr
    document = data_of(CliRunner().invoke(app, [*given, "--json"]).stdout, "restore")
    assert document["photos"][0]["size"] == [70, 40]


def test_the_quickstarts_photographs_are_at_hand(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(artifact(network("resize-bilinear", "relu"), "float", side=256))
    said = CliRunner().invoke(
        app, ["restore", str(model), "photos", "--out", str(tmp_path / "out")]
    )
    assert said.exit_code == 0, said.output
    names = {path.name for path in (tmp_path / "out-blurred").iterdir()}
    assert {"chelsea.png", "coffee.png"} <= names
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}
