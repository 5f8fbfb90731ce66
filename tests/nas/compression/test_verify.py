import dataclasses
import math

import numpy as np
import pytest

from nas.compression import convert as module
from nas.compression.convert import convert, verify
from nas.errors import ConversionError, TrainingError
from nas.networks.keras_model import build_model
from nas.tflite.file import parse_tflite
from nas.tflite.interpreter import Artifact
from tests.helpers.artifacts import SIDE, artifact, keras_model, model_of, network, picture

CONV = network("resize-bilinear", "relu")
SAMPLE = picture(seed=7)


def gate(content, architecture=CONV, precision="float", model=None, **how):
    model = model_of(architecture, precision) if model is None else model
    return verify(content, architecture.graph(), model, precision, SAMPLE, **how)


def test_the_precision_that_was_promised():
    with pytest.raises(ConversionError, match="expected an int8 input, but it is float32"):
        gate(artifact(CONV, "float"), precision="int8-ptq")
    with pytest.raises(ConversionError, match=r"CONV_2D.*float promises float32 only.*int8"):
        gate(artifact(CONV, "int8-ptq"))


def int8_with_an_island():
    """int8 in and out, and an operation in the middle that only exists in float32."""
    import tensorflow as tf

    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)

    def middle(x):
        return tf.nn.conv2d(tf.sin(tf.nn.conv2d(x, kernel, 1, "SAME")), kernel, 1, "SAME")

    function = tf.function(middle).get_concrete_function(tf.TensorSpec([1, SIDE, SIDE, 3]))
    converter = module.configured_converter(function, "int8-ptq", [picture()[None]])
    converter.target_spec.supported_ops.append(tf.lite.OpsSet.TFLITE_BUILTINS)
    return converter.convert()


def test_a_float_island_is_named():
    content = int8_with_an_island()
    file = parse_tflite(content, "x")
    assert file.inputs[0].dtype == file.outputs[0].dtype == "int8"
    assert [op.name for op in file.float_islands] == ["DEQUANTIZE", "SIN", "QUANTIZE"]
    with pytest.raises(ConversionError, match=r"DEQUANTIZE -> .* works in floating point.*3 of 5"):
        gate(content, precision="int8-ptq")


def with_operations(content, monkeypatch, change):
    """Let the gate read `content` with its operations changed."""
    file = parse_tflite(content, "x")
    operations = tuple(change(op) for op in file.operations)
    changed = dataclasses.replace(file, operations=operations)
    monkeypatch.setattr("nas.compression.verify.parse_tflite", lambda content, name: changed)


def test_weights_with_one_scale_a_tensor(monkeypatch):
    def change(op):
        if op.name != "TRANSPOSE_CONV":
            return op
        scales = dataclasses.replace(op.weights.quantization, scales=(0.1,), zero_points=(0,))
        weights = dataclasses.replace(op.weights, quantization=scales)
        return dataclasses.replace(op, inputs=(op.inputs[0], weights, *op.inputs[2:]))

    architecture = network("transpose-conv", "relu")
    with_operations(artifact(architecture, "int8-ptq"), monkeypatch, change)
    with pytest.raises(ConversionError, match=r"TRANSPOSE_CONV.* a scale for each of 4 .* with 1"):
        gate(b"", architecture, "int8-ptq")


def test_int16_tensors_are_no_int8(monkeypatch):
    def change(op):
        if op.name != "MAX_POOL_2D":
            return op
        return dataclasses.replace(op, outputs=(dataclasses.replace(op.outputs[0], dtype="int16"),))

    with_operations(artifact(CONV, "int8-ptq"), monkeypatch, change)
    with pytest.raises(ConversionError, match=r"MAX_POOL_2D.*is int16, not int8"):
        gate(b"", precision="int8-ptq")


def test_the_operations_of_another_architecture():
    with pytest.raises(
        ConversionError, match=r"expected 0 DEPTH_TO_SPACE .* has 1 .operation 3 DE"
    ):
        gate(artifact(network("depth-to-space", "relu"), "float"))
    with pytest.raises(ConversionError, match=r"expected 1 ADD as in the architecture.* has 0"):
        gate(artifact(network("resize-bilinear", "relu", residual=False), "float"))


def test_another_size_and_other_widths():
    with pytest.raises(ConversionError, match=r"one input of shape \(1, 32, 32, 3\), found .*16"):
        gate(convert(keras_model(CONV), 16, 16, "float"))
    wider = dataclasses.replace(CONV, widths=(4, 12))
    with pytest.raises(ConversionError, match=r"file's convolutions have \d+ MACs, the archit.*\d"):
        gate(artifact(CONV, "float"), wider)


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_a_file_that_computes_something_else(precision):
    plain = network("resize-bilinear", "relu", residual=False)  # nothing shared but the structure
    other = keras_model(plain, seed=1)
    with pytest.raises(ConversionError, match=r"PSNR between their outputs is -?\d+\.\d dB, expec"):
        gate(artifact(plain, precision), plain, precision, model=other)


def test_the_least_agreement_is_the_callers_to_choose():
    content = artifact(CONV, "int8-ptq")
    found = gate(content, precision="int8-ptq", minimum_db=10).agreement_db
    with pytest.raises(ConversionError, match=f"{found:.1f} dB, expected 90 at least"):
        gate(content, precision="int8-ptq", minimum_db=90)


def test_the_agreement_is_the_psnr_of_the_outputs():
    content = artifact(CONV, "int8-ptq")
    ours = Artifact(content).run(SAMPLE).astype(np.float64)
    theirs = keras_model(CONV)(SAMPLE[None]).numpy()[0].astype(np.float64)
    expected = -10 * math.log10(((ours - theirs) ** 2).mean())
    assert gate(content, precision="int8-ptq").agreement_db == pytest.approx(expected, abs=1e-6)


def killed(activation, layer, margin=None):
    """A network one of whose layers gives 0 everywhere, or `margin` at most."""
    architecture = network("resize-bilinear", activation)
    model = build_model(architecture.graph(), seed=0)
    kernel, bias = model.get_layer(layer).get_weights()
    model.get_layer(layer).set_weights([kernel * (activation == "relu"), bias * 0 - 50])
    if activation == "prelu":  # a negative output would pass a PReLU: nothing at all
        model.get_layer(layer).set_weights([kernel * 0, bias * 0])
    return architecture, model


@pytest.mark.parametrize("layer", ["down0_conv1", "up0_conv1"])
def test_a_dead_relu_is_a_dead_training_and_the_runtime_refuses_it(layer):
    architecture, model = killed("relu", layer)
    content = convert(model, SIDE, SIDE, "int8-ptq", [picture()[None]])
    with pytest.raises(ConversionError, match=r"LiteRT refuses the artifact: .*failed to prepare"):
        Artifact(content)
    with pytest.raises(TrainingError, match=f"training died: the layer '{layer}' stays within"):
        gate(content, architecture, "int8-ptq", model=model)


def test_a_dead_layer_that_the_runtime_accepts_is_a_dead_training_too():
    architecture, model = killed("prelu", "down1_conv1")
    content = convert(model, SIDE, SIDE, "int8-ptq", [picture()[None]])
    Artifact(content).run(SAMPLE)
    with pytest.raises(TrainingError, match="training died: the layer 'down1_"):
        gate(content, architecture, "int8-ptq", model=model)


@pytest.mark.parametrize(("margin", "refused"), [(1e-3, False), (1e-6, True)])
def test_a_relu_that_is_nearly_dead(margin, refused):
    """XNNPACK refuses an output that is 256 times finer than its products: the gate knows why."""
    import tensorflow as tf
    import tf_keras as keras

    frame = np.random.default_rng(0).random((1, SIDE, SIDE, 3), dtype=np.float32)
    model = build_model(CONV.graph(), seed=0)
    layer = model.get_layer("up0_conv1")
    before = keras.Model(model.input, model.get_layer("concat0").output)(frame)
    kernel, _ = layer.get_weights()
    highest = tf.nn.conv2d(before, kernel, 1, "SAME").numpy().max((0, 1, 2))
    layer.set_weights([kernel, margin - highest])  # the greatest output of each channel
    content = convert(model, SIDE, SIDE, "int8-ptq", [frame])
    if not refused:
        assert gate(content, precision="int8-ptq", model=model).agreement_db > 30
        return
    with pytest.raises(ConversionError, match="LiteRT refuses"):
        Artifact(content)
    with pytest.raises(TrainingError, match="training died: the layer 'up0_conv1'"):
        gate(content, precision="int8-ptq", model=model)


def test_weights_that_are_not_finite():
    model = build_model(CONV.graph(), seed=0)
    model.get_layer("output").set_weights(
        [np.full_like(array, np.nan) for array in model.get_layer("output").get_weights()]
    )
    with pytest.raises(TrainingError, match="training diverged: the network's output is not fini"):
        gate(convert(model, SIDE, SIDE, "float"), model=model)
