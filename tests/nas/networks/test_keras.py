"""Keras: a file of settings in the user's home changes no figure."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import tf_keras  # reads the file
import numpy as np
from nas.networks.keras_model import build_model
from search_spaces import UNet

model = build_model(UNet(widths=(4, 8), convolutions=1, first_kernel=3).graph())
result = model(np.zeros((1, 16, 16, 3), np.float32)).numpy()
print(result.dtype, result.shape, tf_keras.backend.epsilon())
"""


def test_settings_in_the_home_do_not_count(tmp_path: Path) -> None:
    settings = {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment | {"HOME": str(tmp_path)},
        cwd=Path(__file__).parents[3], capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "float32 (1, 16, 16, 3) 1e-07\n", done.stderr
