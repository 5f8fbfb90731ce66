import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from nas.compression import convert as module
from nas.compression.convert import MINIMUM_DB, convert, convert_untrained, verify
from nas.compression.quantization import fake_quantized
from nas.data.image_quality import psnr_db, to_uint8
from nas.errors import ConfigError, ConversionError, DataError
from nas.networks.candidate import PRECISIONS
from nas.networks.graph import Conv, Graph, Input, MaxPool, TransposeConv
from nas.networks.keras_model import build_model
from nas.tflite.file import parse_tflite
from nas.tflite.interpreter import Artifact
from nas.training.schedule import Schedule
from search_spaces import UNet
from tests.helpers.artifacts import EVERY, SIDE, artifact, keras_model, model_of, network, picture

CONV = network("resize-bilinear", "relu")
SAMPLE = picture(seed=7)
BUILTIN = {code: name for name, code in vars(schema.BuiltinOperator).items()}


def gate(content, architecture=CONV, precision="float", model=None, **how):
    model = model_of(architecture, precision) if model is None else model
    return verify(content, architecture.graph(), model, precision, SAMPLE, **how)


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_every_network_passes_the_gate(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    found = gate(artifact(architecture, precision), architecture, precision)
    assert found.precision == precision
    assert found.conv_macs == architecture.graph().macs(SIDE, SIDE).conv
    assert found.agreement_db is None or found.agreement_db > MINIMUM_DB[precision]
    # The two figures mean different things: int8 is near, float32 is the same but for rounding.
    if precision == "float":
        assert found.agreement_db is None or found.agreement_db > 110
    else:
        assert found.agreement_db < 80


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_pictures_through_an_artifact(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    loaded = Artifact(artifact(architecture, precision), threads=1)
    assert (loaded.height, loaded.width) == (SIDE, SIDE)
    for seed in (7, 8):  # one interpreter, many pictures
        image = to_uint8(picture(seed=seed))
        output = model_of(architecture, precision)(picture(seed=seed)[None]).numpy()[0]
        restored = loaded.restore(image)
        assert restored.dtype == np.uint8
        assert restored.shape == image.shape
        assert psnr_db(restored, to_uint8(output)) > (60 if precision == "float" else 30)
        assert np.array_equal(restored, loaded.restore(image))


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_equal_inputs_give_equal_bytes(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    again = build_model(architecture.graph(), seed=0)  # another model of the same weights
    again.set_weights(keras_model(architecture).get_weights())
    frames = [picture(SIDE, SIDE, number)[None] for number in range(2)]
    if precision == "int8-qat":
        again = fake_quantized(again, frames)
    assert convert(again, SIDE, SIDE, precision, frames) == artifact(architecture, precision)


@pytest.mark.slow
def test_another_process_gives_equal_bytes_quietly():
    code = (
        "from nas.training.tensorflow import prepare_tensorflow; prepare_tensorflow(1)\n"
        "from tests.helpers.artifacts import artifact, network\n"
        "from nas.tflite.interpreter import Artifact\n"
        "import hashlib\n"
        "from nas.networks.candidate import PRECISIONS\n"
        "for precision in PRECISIONS:\n"
        "    content = artifact(network('transpose-conv', 'prelu'), precision)\n"
        "    Artifact(content)\n"
        "    print(hashlib.sha256(content).hexdigest())"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    ours = [artifact(network("transpose-conv", "prelu"), p) for p in PRECISIONS]
    assert ran.stdout.split() == [hashlib.sha256(content).hexdigest() for content in ours]
    assert ran.stderr == ""


def test_int8_input_is_the_pictures_bytes_less_128():
    dull = [np.clip(picture()[None], 0.2, 0.7)]  # its own range would clip other pictures
    content = convert(keras_model(CONV), SIDE, SIDE, "int8-ptq", dull)
    [source] = parse_tflite(content, "x").inputs
    assert source.quantization.zero_points == (-128,)
    assert math.isclose(source.quantization.scales[0], 1 / 255, rel_tol=1e-6)
    assert dull[0].min() == pytest.approx(0.2)  # the caller's arrays are left alone


def test_sizes_other_than_square():
    architecture = network("transpose-conv", "relu")
    model = keras_model(architecture)
    content = convert(model, 16, 40, "float")
    sample = picture(16, 40)
    found = verify(content, architecture.graph(), model, "float", sample)
    assert found.conv_macs == architecture.graph().macs(16, 40).conv
    assert (Artifact(content).height, Artifact(content).width) == (16, 40)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "integers need calibration pictures, but none came"),
        ([np.full((1, SIDE, SIDE, 3), 0.5, np.float32)] * 3, "all 3 calibration pictures are one"),
        ([picture(16, 16)[None]], r"picture 0: expected an array of shape \(1, 32, 32, 3\), but"),
        ([picture()[None], picture()[None] * 255], "picture 1: expected values from 0 to 1, but 0"),
        ([np.full((1, SIDE, SIDE, 3), np.nan, np.float32)], "expected values from 0 to 1, but nan"),
    ],
)
def test_calibration_that_can_not_be_right(frames, reason):
    with pytest.raises(DataError, match=reason):
        convert(keras_model(CONV), SIDE, SIDE, "int8-ptq", iter(frames))


def test_float_needs_no_calibration_and_takes_none():
    def never():
        raise AssertionError("read")
        yield

    assert convert(keras_model(CONV), SIDE, SIDE, "float", never()) == artifact(CONV, "float")


def test_an_unknown_precision():
    with pytest.raises(ConfigError, match=r"unknown precision 'int8'\. Did you mean 'int8-"):
        convert(keras_model(CONV), SIDE, SIDE, "int8")
    with pytest.raises(ConfigError, match="unknown precision 'int8'"):
        gate(artifact(CONV, "float"), precision="int8")


def test_a_wrong_size_is_told_as_a_conversion_that_failed():
    with pytest.raises(ConversionError, match="conversion to float at 33x31 failed: "):
        convert(keras_model(network("transpose-conv", "relu")), 31, 33, "float")


def one_layer(function):
    """A Keras model of one raw TensorFlow function, and the architecture it does not have."""
    import tf_keras as keras

    source = keras.Input((None, None, 3))
    return keras.Model(source, keras.layers.Lambda(function)(source))


def test_an_operation_that_the_converter_does_not_know_is_named():
    import tensorflow as tf

    model = one_layer(lambda x: tf.raw_ops.Betainc(a=x, b=x, x=x))
    with pytest.raises(ConversionError, match=r"failed at the operation (tf\.)?Betainc: "):
        convert(model, SIDE, SIDE, "float")


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_untrained_files_have_the_structure_of_trained_ones(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    schedule = Schedule(steps=1, identity_start=True)
    content = convert_untrained(architecture.graph(), SIDE, SIDE, precision, schedule)
    trained = parse_tflite(artifact(architecture, precision), "x")
    found = parse_tflite(content, "x")
    if precision == "int8-qat":  # ranges decide where a tensor is needed at two scales
        counts = found.operation_counts, trained.operation_counts
        assert counts[0] - Counter(QUANTIZE=9) == counts[1] - Counter(QUANTIZE=9)
    else:
        assert found.structure_key == trained.structure_key


def test_a_size_that_does_not_divide_is_a_wrong_option():
    with pytest.raises(ConfigError, match="nearest sizes are 32x30 and 34x32"):
        convert_untrained(CONV.graph(), 31, 33, "float", Schedule(steps=1))


def test_trained_weights_from_a_file(tmp_path, monkeypatch):
    def batch(step, count, patch, seed):
        rows = [to_uint8(picture(patch, patch, 100 * step + row)) for row in range(count)]
        return np.stack(rows), None

    seen = []
    monkeypatch.setattr(module, "verify", lambda *given: seen.append(given) or verify(*given))
    model = keras_model(CONV)
    model.save_weights(tmp_path / "final.weights.h5")
    pack = SimpleNamespace(side=16, batch=batch)
    weights = tmp_path / "final.weights.h5"
    for precision in ("float", "int8-ptq"):
        content = module.convert_trained(CONV.graph(), weights, SIDE, SIDE, precision, pack)
        assert gate(content, precision=precision).conv_macs > 0
    checked_on = seen[0][4]  # the patches after those of the calibration: 2^17 / 32^2 = 128 frames
    assert np.array_equal(checked_on[:16, :16], picture(16, 16, 100 * 128))


def padded_same(content):
    """The file with padding SAME at its transposed convolutions, as it was built once."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = [BUILTIN[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
    operators = model.subgraphs[0].operators
    found = [op for op in operators if names[op.opcodeIndex] == "TRANSPOSE_CONV"]
    for operator in found:
        assert operator.builtinOptions.padding == schema.Padding.VALID
        operator.builtinOptions.padding = schema.Padding.SAME
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), len(found)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("height", "width"), [(8, 16), (12, 20)])  # 2x4, 3x5
def test_transposed_convolutions_need_no_padding_to_compute_what_they_did(precision, height, width):
    architecture = UNet("transpose-conv", "relu", (4, 8, 8), 1, 3, True)
    model = model_of(architecture, precision)
    frames = [picture(height, width, seed)[None] for seed in range(2)]
    content = convert(model, height, width, precision, frames)
    twin, count = padded_same(content)
    assert count == 2
    assert parse_tflite(twin, "twin").structure_key != parse_tflite(content, "file").structure_key
    sample = np.random.default_rng(3).random((height, width, 3), np.float32)
    assert np.array_equal(Artifact(twin).run(sample), Artifact(content).run(sample))


def up_and_out() -> Graph:
    """A transposed convolution with a ReLU after it, which the converter fuses."""
    return Graph(
        (
            Input("input"),
            Conv("start", ("input",), 4),
            MaxPool("down", ("start",), 2),
            TransposeConv("up", ("down",), 4, 2, activation="relu"),
            Conv("out", ("up",), 3),
        )
    )


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_a_relu_leaves_a_transposed_convolution_where_a_gpu_is_meant(precision):
    given = (up_and_out(), SIDE, SIDE, precision, Schedule(steps=1))
    fused = parse_tflite(convert_untrained(*given), "x")
    apart = parse_tflite(convert_untrained(*given, relu_apart=True), "x")
    names = [step.name for step in fused.operations]
    assert "RELU" not in names
    index = names.index("TRANSPOSE_CONV")
    assert [step.name for step in apart.operations] == [
        *names[: index + 1],
        "RELU",
        *names[index + 1 :],
    ]
    assert apart.conv_macs == fused.conv_macs


def test_a_relu_that_would_change_the_output_stops_the_conversion(monkeypatch):
    from nas.tflite.editing import operation_name, packed
    from nas.tflite.relu_apart import schema

    def forgets_the_relu(content):
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        for step in model.subgraphs[0].operators:
            if operation_name(model, step) == "TRANSPOSE_CONV":
                step.builtinOptions.fusedActivationFunction = 0
        return packed(model)

    monkeypatch.setattr(module, "with_relu_apart", forgets_the_relu)
    with pytest.raises(ConversionError, match="changed the file's output by"):
        convert_untrained(up_and_out(), SIDE, SIDE, "float", Schedule(steps=1), relu_apart=True)


def test_every_file_has_a_signature_that_litert_runs():
    from ai_edge_litert.interpreter import Interpreter

    for precision in PRECISIONS:
        interpreter = Interpreter(model_content=artifact(CONV, precision))
        assert interpreter.get_signature_list() == {
            "serving_default": {"inputs": ["input"], "outputs": ["output"]}
        }
