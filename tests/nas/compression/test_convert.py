import dataclasses
import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from nas.compression import convert as module
from nas.compression.calibration import mosaic
from nas.compression.convert import MINIMUM_DB, convert, convert_untrained, verify
from nas.compression.quantization import fake_quantized
from nas.data.image_quality import psnr_db, to_uint8
from nas.errors import ConfigError, ConversionError, DataError, TrainingError
from nas.networks.candidate import PRECISIONS
from nas.networks.keras_model import build_model
from nas.tflite.file import parse_tflite
from nas.tflite.interpreter import Artifact
from nas.training.schedule import Schedule
from tests.helpers.artifacts import EVERY, SIDE, artifact, keras_model, model_of, network, picture

CONV = network("resize-bilinear", "relu")
SAMPLE = picture(seed=7)


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
    converter = module._converter(function, "int8-ptq", [picture()[None]])
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


def numbered_pack(side):
    """Patches that tell which one they are: the step in the red channel, the number in green."""

    def batch(step, count, patch, seed):
        blurred = np.zeros((count, patch, patch, 3), np.uint8)
        blurred[..., 0] = step
        blurred[..., 1] = np.arange(count)[:, None, None] * 3
        blurred[..., 2] = np.arange(patch)  # tells left from right
        return blurred, None

    return SimpleNamespace(side=side, batch=batch)


def test_a_mosaic_lays_patches_beside_their_mirror_images():
    frame = mosaic(numbered_pack(8), 24, 40, index=5)
    assert frame.shape == (1, 24, 40, 3)
    assert frame.dtype == np.float32
    values = to_uint8(frame[0])
    assert set(values[..., 0].flat) == {5}
    assert set(values[..., 1].flat) == {0, 3, 6, 9, 12, 15}  # 2 rows of 3 blocks of 16x16
    assert list(values[0, :16, 2]) == [*range(8), *reversed(range(8))]


def test_a_mosaic_smaller_than_a_patch():
    assert mosaic(numbered_pack(64), 16, 24, index=0).shape == (1, 16, 24, 3)


def test_runtime_errors_are_typed(tmp_path):
    with pytest.raises(ConversionError, match=r"LiteRT refuses .*absent"):
        Artifact(tmp_path / "absent.tflite")
    with pytest.raises(ConversionError, match="LiteRT refuses the artifact: "):
        Artifact(b"no model at all, but some bytes")
    loaded = Artifact(artifact(CONV, "float"))
    with pytest.raises(DataError, match=r"takes pictures of 32x32 .*shape \(16, 32, 3\) came"):
        loaded.restore(np.zeros((16, 32, 3), np.uint8))
    with pytest.raises(DataError, match="restores uint8 pictures, but float64 came"):
        loaded.restore(np.zeros((32, 32, 3)))
