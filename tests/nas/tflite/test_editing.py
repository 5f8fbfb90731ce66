import numpy as np
import pytest

from nas.compression.convert import INT16_HEADROOM
from nas.errors import ConversionError
from nas.tflite.editing import in_float, with_headroom
from nas.tflite.file import parse_tflite
from nas.tflite.interpreter import Artifact
from nas.tflite.resizing import at_size
from tests.helpers.artifacts import EVERY, SIX, artifact, model_of, network, picture


def db(one, other):
    return -10 * np.log10(np.square(one.astype(float) - other).mean())


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_another_size_is_the_same_network(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    content = at_size(artifact(architecture, precision), 16, 24)
    file = parse_tflite(content, "x")
    assert file.conv_macs == architecture.graph().macs(16, 24).conv
    sample = picture(16, 24, seed=3)
    output = model_of(architecture, precision)(sample[None]).numpy()[0]
    assert db(Artifact(content).run(sample), output) > (80 if precision == "float" else 30)
    scales = [tensor.quantization for op in file.operations for tensor in op.tensors]
    whole = parse_tflite(artifact(architecture, precision), "x")
    assert scales == [tensor.quantization for op in whole.operations for tensor in op.tensors]


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_there_and_back_is_the_same_file(upsampling, activation):
    content = artifact(network(upsampling, activation), "int16-ptq")
    back = at_size(at_size(content, 64, 16), 32, 32)
    key = parse_tflite(content, "x").structure_key
    assert parse_tflite(back, "x").structure_key == key
    sample = picture(seed=4)
    assert np.array_equal(Artifact(back).run(sample), Artifact(content).run(sample))


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_the_float_form_agrees_with_int16(upsampling, activation):
    content = artifact(network(upsampling, activation), "int16-ptq")
    form = in_float(content)
    assert {t.dtype for op in parse_tflite(form, "x").operations for t in op.tensors} <= {
        "float32",
        "int32",
    }
    seen = picture(seed=0)  # of the calibration: nothing is clipped
    assert db(Artifact(form).run(seen), Artifact(content).run(seen)) > 75


def test_a_size_that_does_not_come_out():
    with pytest.raises(ConversionError, match="no whole size in a picture of 24x17 instead of 32x"):
        at_size(artifact(network("resize-bilinear", "relu"), "int16-ptq"), 17, 24)


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_headroom_spares_what_the_calibration_has_not_seen(upsampling, activation):
    content = artifact(network(upsampling, activation), "int16-ptq")
    tight = with_headroom(content, 1 / INT16_HEADROOM)
    unseen = np.rint(picture(seed=7))  # nothing but 0 and 1: activations go beyond what was seen
    form = Artifact(in_float(content)).run(unseen)
    assert db(Artifact(content).run(unseen), form) > db(Artifact(tight).run(unseen), form) + 3
    scales = [parse_tflite(one, "x").inputs[0].quantization.scales for one in (content, tight)]
    assert scales[0] == scales[1]  # a picture's values are bounded


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_headroom_changes_no_value_but_by_rounding(upsampling, activation):
    content = artifact(network(upsampling, activation), "int16-ptq")
    wide = with_headroom(content, 2.0)
    seen = picture(seed=0)
    assert db(Artifact(wide).run(seen), Artifact(content).run(seen)) > 70
    changed = [
        (a.quantization.scales[0], b.quantization.scales[0])
        for one, other in zip(
            parse_tflite(content, "x").operations, parse_tflite(wide, "x").operations, strict=True
        )
        for a, b in zip(one.outputs, other.outputs, strict=True)
    ]
    assert all(b == pytest.approx(2 * a) for a, b in changed)


def test_what_is_replaced_does_not_stay_in_the_file():
    content = artifact(network("resize-bilinear", "relu"), "int16-ptq")
    assert len(with_headroom(content, 2.0)) == pytest.approx(len(content), rel=0.01)
    assert len(at_size(content, 64, 64)) == pytest.approx(len(content), rel=0.01)
