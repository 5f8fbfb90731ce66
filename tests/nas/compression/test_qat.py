from types import SimpleNamespace

import numpy as np
import pytest

from nas.compression import convert as convert_module
from nas.compression.convert import convert_trained, verify
from nas.compression.qat import train_quantized
from nas.data.image_quality import to_uint8
from nas.training.schedule import Schedule
from nas.training.workshop import Workshop
from tests.helpers.artifacts import SIDE, SIX, keras_model, network, picture


def batch(step, count, patch, seed):
    rows = [to_uint8(picture(patch, patch, 1000 * seed + 10 * step + row)) for row in range(count)]
    return np.stack(rows), np.stack(rows)


PACK = SimpleNamespace(side=16, batch=batch)
SCHEDULE = Schedule(steps=20, batch=2, patch=16, learning_rate=1e-3, identity_start=True)


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_trained_fake_quantization_is_what_the_file_computes(
    upsampling, activation, tmp_path, monkeypatch
):
    """As the gate found: it runs the file and the fake-quantized model on one more picture.

    That twice the same is done twice alike is tested on trials, in test_compress.
    """
    graph = network(upsampling, activation).graph()
    weights = tmp_path / "float.weights.h5"
    keras_model(network(upsampling, activation)).save_weights(weights)
    steps, found = [], []
    monkeypatch.setattr(
        convert_module, "verify", lambda *arguments: found.append(verify(*arguments))
    )
    workshop = Workshop(PACK, SCHEDULE, 0, tmp_path, lambda _, step, *rest: steps.append(step))
    path = train_quantized(graph, weights, workshop, "qat")
    assert steps[-1] == SCHEDULE.steps // 4
    convert_trained(graph, path, SIDE, SIDE, "int8-qat", PACK)
    assert found[0].precision == "int8-qat"
    assert found[0].agreement_db >= 38
