import dataclasses
import random

import pytest

from nas.errors import ConfigError
from nas.tflite.file import TfliteFile, conv_macs, parse_tflite, read_tflite, structure_key
from search_spaces.unet import PAPER, UNet
from tests.helpers.artifacts import EVERY, SIDE, SIX, artifact, network

CONV = network("resize-bilinear", "relu")


def parsed(architecture: UNet, precision: str, **how: int) -> TfliteFile:
    return parse_tflite(artifact(architecture, precision, **how), "x")


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_macs_are_the_graphs_exactly(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    file = parsed(architecture, precision)
    assert file.conv_macs == architecture.graph().macs(SIDE, SIDE).conv > 0


@pytest.mark.parametrize(("upsampling", "activation", "precision"), EVERY)
def test_shapes_are_those_that_the_interpreter_reports(upsampling, activation, precision):
    from ai_edge_litert.interpreter import Interpreter

    content = artifact(network(upsampling, activation), precision)
    interpreter = Interpreter(model_content=content)
    details = {row["index"]: row for row in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()
    file = parse_tflite(content, "x")
    assert [op.name for op in file.operations] == [row["op_name"] for row in operations]
    for operation, row in zip(file.operations, operations, strict=True):
        assert [t.index for t in operation.inputs if t] == list(row["inputs"])
        for tensor in operation.tensors:
            theirs = details[tensor.index]
            assert tensor.name == theirs["name"]
            assert tensor.shape == tuple(theirs["shape"])
            assert tensor.dtype == theirs["dtype"].__name__
            scales = tensor.quantization.scales if tensor.quantization else ()
            assert scales == tuple(theirs["quantization_parameters"]["scales"])


def test_the_papers_network_at_a_small_size():
    small = parsed(dataclasses.replace(PAPER, widths=(4, 8, 8, 8, 8)), "float")
    graph = dataclasses.replace(PAPER, widths=(4, 8, 8, 8, 8)).graph()
    assert small.conv_macs == graph.macs(SIDE, SIDE).conv


def test_an_operation_in_words_and_its_options():
    first = parsed(CONV, "float").operations[0]
    assert str(first) == f"operation 0 CONV_2D -> 1x{SIDE}x{SIDE}x4"
    options = dict(first.options)
    assert (options["padding"], options["strideH"]) == ("SAME", 1)
    assert options["fusedActivationFunction"] == "RELU"
    assert first.conv_macs == SIDE * SIDE * 4 * 3 * 3 * 3


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_int8_weights_have_a_scale_a_channel_and_float_ones_none(upsampling, activation):
    architecture = network(upsampling, activation)
    kernels = [op.weights for op in parsed(architecture, "int8-ptq").operations if op.weights]
    assert len(kernels) >= 4
    for weights in kernels:
        assert weights.constant
        assert weights.dtype == "int8"
        assert weights.quantization.axis == 0
        assert len(weights.quantization.scales) == weights.shape[0]
    floats = [op.weights for op in parsed(architecture, "float").operations if op.weights]
    assert {weights.quantization for weights in floats} == {None}


def test_input_and_output():
    file = parsed(CONV, "int8-ptq")
    [source], [result] = file.inputs, file.outputs
    assert source.shape == result.shape == (1, SIDE, SIDE, 3)
    assert source.dtype == result.dtype == "int8"
    assert not source.constant
    assert source.quantization.zero_points == (-128,)


def test_float_islands():
    assert parsed(CONV, "int8-ptq").float_islands == ()
    file = parsed(CONV, "float")
    assert file.float_islands == file.operations


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_the_structure_key_ignores_weights(upsampling, activation, precision):
    architecture = network(upsampling, activation)
    one, other = (parsed(architecture, precision, seed=seed) for seed in (0, 1))
    assert artifact(architecture, precision) != artifact(architecture, precision, seed=1)
    assert one.structure_key == other.structure_key


def test_the_structure_key_tells_structures_apart():
    keys = [parsed(network(*choice), precision).structure_key
            for choice in SIX for precision in ("float", "int8-ptq")]  # fmt: skip
    keys.append(parsed(CONV, "float", side=64).structure_key)
    keys.append(parsed(network("resize-bilinear", "relu", residual=False), "float").structure_key)
    keys.append(parsed(dataclasses.replace(CONV, widths=(8, 8)), "float").structure_key)
    keys.append(parsed(dataclasses.replace(CONV, first_kernel=5), "float").structure_key)
    assert len(set(keys)) == len(keys) == 16


def test_the_structure_key_tells_options_and_wiring_apart():
    file = parsed(CONV, "float")
    [concat] = [op for op in file.operations if op.name == "CONCATENATION"]
    swapped = dataclasses.replace(concat, inputs=concat.inputs[::-1])
    linear = dataclasses.replace(file.operations[0], options=())
    for changed in (swapped, linear):
        operations = [changed if op.index == changed.index else op for op in file.operations]
        other = dataclasses.replace(file, operations=tuple(operations))
        assert other.structure_key != file.structure_key


def test_files_on_the_disk(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(artifact(CONV, "float"))
    assert conv_macs(path) == read_tflite(path).conv_macs
    assert structure_key(path) == parsed(CONV, "float").structure_key


def test_macs_of_an_open_shape_are_no_number():
    operation = parsed(CONV, "float").operations[0]
    open_output = dataclasses.replace(operation.outputs[0], shape=(1, -1, -1, 4))
    with pytest.raises(ConfigError, match=r"CONV_2D.*leaves open.*fixed height and width"):
        dataclasses.replace(operation, outputs=(open_output,)).conv_macs  # noqa: B018


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no .tflite file: expected 'TFL3'.*found 0 bytes"),
        (b"PK\x03\x04 a zip archive", "expected 'TFL3' after its first four bytes, found"),
        (b"\x1c\0\0\0TFL3", r"damaged or truncated .tflite file \(8 bytes\)"),
    ],
)
def test_no_tflite_file(tmp_path, content, reason):
    path = tmp_path / "given.tflite"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"given.tflite is .*{reason}|given.tflite is {reason}"):
        read_tflite(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"m\.tflite can't be read: No such file"):
        read_tflite(tmp_path / "m.tflite")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read_tflite(tmp_path)


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_every_truncation_is_noticed(precision):
    content = artifact(network("transpose-conv", "prelu"), precision)
    for length in range(0, len(content) - 4, 61):
        with pytest.raises(ConfigError, match=r"^cut\.tflite is "):
            parse_tflite(content[:length], "cut.tflite")


def test_damage_is_an_error_of_one_line_or_nothing():
    content = artifact(network("transpose-conv", "prelu"), "int8-ptq")
    rng = random.Random(0)
    refusals = []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 8, 40))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            parse_tflite(bytes(damaged), "damaged.tflite")
        except ConfigError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert not any("\n" in refusal for refusal in refusals)
