"""The precautions of quantization-aware training: each test fails without its own."""

import numpy as np
import pytest
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from nas.compression import convert as convert_module
from nas.compression import quantization
from nas.compression.channels import group_channels, narrowed
from nas.compression.convert import convert, verify
from nas.compression.pruning import Pruning, uniform_kept
from nas.compression.quantization import fake_quantized, int16_form
from nas.errors import ConversionError
from nas.networks.candidate import PRECISIONS
from nas.networks.keras_model import DepthToSpaceLayer, build_model
from nas.tflite.interpreter import Artifact
from search_spaces import UNet
from tests.helpers.artifacts import SIDE, SIX, keras_model, model_of, network, picture

FRAMES = [picture(seed=number)[None] for number in range(2)]
SAMPLE = picture(seed=7)


def db(one, other):
    return -10 * np.log10(np.square(one.astype(float) - other).mean())


def gate(model, architecture, precision="int8-qat"):
    content = convert(model, SIDE, SIDE, precision, FRAMES)
    return verify(content, architecture.graph(), model, precision, SAMPLE)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_pruned_networks_pass_the_gate(upsampling, activation, precision):
    whole = UNet(upsampling, activation, (8, 12), 1, 3, True).graph()
    groups = group_channels(whole)
    graph = narrowed(groups, uniform_kept(groups, 0.3, Pruning()))
    model = build_model(graph, seed=1)
    source = fake_quantized(model, FRAMES) if precision == "int8-qat" else model
    content = convert(source, SIDE, SIDE, precision, FRAMES)
    found = verify(content, graph, source, precision, SAMPLE)
    assert found.conv_macs < 0.72 * whole.macs(SIDE, SIDE).conv


class _Alpha(quantization._OutputOnly):
    def get_weights_and_quantizers(self, layer):
        quantizer = tfmot.quantization.keras.quantizers.LastValueQuantizer(
            num_bits=8, per_axis=False, symmetric=True, narrow_range=True
        )
        return [(layer.alpha, quantizer)]

    def set_quantize_weights(self, layer, quantize_weights):
        layer.alpha = quantize_weights[0]


def test_1_slopes_with_fake_quantization_make_a_float_prelu(monkeypatch):
    architecture = network("resize-bilinear", "prelu")
    gate(model_of(architecture, "int8-qat"), architecture)
    monkeypatch.setitem(quantization._CONFIGS, keras.layers.PReLU, _Alpha)
    monkeypatch.setitem(quantization._OBJECTS, "_Alpha", _Alpha)
    broken = fake_quantized(keras_model(architecture), FRAMES)
    with pytest.raises(ConversionError, match=r"works in floating point, where int8 was promised"):
        gate(broken, architecture)


def kernels_with_ranges(model):
    return sum("kernel_min" in variable.name for variable in model.variables)


def test_2_a_relu_inside_of_its_convolution_leaves_the_weights_quantized():
    assert kernels_with_ranges(model_of(network("resize-bilinear", "relu"), "int8-qat")) == 4
    source = keras.Input((None, None, 3))
    apart = keras.layers.ReLU()(keras.layers.Conv2D(3, 3, padding="same")(source))
    assert kernels_with_ranges(fake_quantized(keras.Model(source, apart), FRAMES)) == 0


def test_3_ranges_come_from_the_calibration(monkeypatch):
    architecture = network("resize-bilinear", "relu")
    model = model_of(architecture, "int8-qat")
    probe = keras.Model(
        keras_model(architecture).input, keras_model(architecture).get_layer("up0_conv1").output
    )
    highest = max(float(probe(frame).numpy().max()) for frame in FRAMES)
    (found,) = [v for v in model.get_layer("quant_up0_conv1").weights if "activation_max" in v.name]
    assert float(found) == pytest.approx(highest, rel=1e-5)
    near = db(gate_output(model), keras_model(architecture)(SAMPLE[None]).numpy()[0])
    monkeypatch.setattr(
        quantization, "_set_ranges", lambda model, ranges: quantization.pin_input(model)
    )
    loose = fake_quantized(keras_model(architecture), FRAMES)
    far = db(gate_output(loose), keras_model(architecture)(SAMPLE[None]).numpy()[0])
    assert far < near - 6


def gate_output(model):
    return Artifact(convert(model, SIDE, SIDE, "int8-qat")).run(SAMPLE)


def test_4_the_ranges_of_weights_are_theirs_before_any_training():
    model = model_of(network("depth-to-space", "prelu"), "int8-qat")
    layer = model.get_layer("quant_down1_conv1")
    (highest,) = [v.numpy() for v in layer.weights if "kernel_max" in v.name]
    kernel = keras_model(network("depth-to-space", "prelu")).get_layer("down1_conv1").kernel
    np.testing.assert_allclose(highest, np.abs(kernel.numpy()).max((0, 1, 2)), rtol=1e-5)
    assert highest.max() < 2  # they start at 6


def test_5_layers_of_our_own_need_a_configuration_each(monkeypatch):
    architecture = network("depth-to-space", "prelu")
    model = model_of(architecture, "int8-qat")
    configs = [layer.quantize_config for layer in model.layers if "prelu" in layer.name]
    assert len({id(config) for config in configs}) == len(configs) == 3
    shuffle = model.get_layer("quant_up0_shuffle")
    assert not [v for v in shuffle.weights if "output" in v.name]
    monkeypatch.delitem(quantization._CONFIGS, DepthToSpaceLayer)
    with pytest.raises(RuntimeError, match="DepthToSpaceLayer"):
        fake_quantized(keras_model(architecture), FRAMES)


def test_the_input_is_the_pictures_bytes_less_128():
    from nas.tflite.file import parse_tflite

    model = fake_quantized(keras_model(network("resize-bilinear", "relu")), [FRAMES[0] * 0.5])
    [source] = parse_tflite(convert(model, SIDE, SIDE, "int8-qat"), "x").inputs
    assert source.quantization.zero_points == (-128,)
    assert source.quantization.scales[0] == pytest.approx(1 / 255, rel=1e-6)


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_the_form_for_int16_is_the_same_function(upsampling, activation):
    model = keras_model(network(upsampling, activation))
    form = int16_form(model, 16, 24)
    sample = picture(16, 24)[None]
    np.testing.assert_allclose(form(sample).numpy(), model(sample).numpy(), atol=1e-6)


def test_int16_needs_its_form(monkeypatch):
    monkeypatch.setattr(convert_module, "int16_form", lambda model, height, width: model)
    for architecture, operation in (
        (network("resize-bilinear", "prelu"), "PRELU"),
        (network("depth-to-space", "relu"), "DEPTH_TO_SPACE"),
    ):
        with pytest.raises(
            ConversionError, match=f"int16-ptq at 32x32 failed at the.* {operation}"
        ):
            convert(keras_model(architecture), SIDE, SIDE, "int16-ptq", FRAMES)


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
def test_int16_loses_by_its_8_bit_weights_alone(upsampling, activation):
    architecture = network(upsampling, activation)
    model = keras_model(architecture)
    frames = [picture(seed=number)[None] for number in range(8)]
    content = convert(model, SIDE, SIDE, "int16-ptq", frames)
    rounded = build_model(architecture.graph())
    for layer in model.layers:
        arrays = layer.get_weights()
        if len(arrays) == 2:  # a convolution: per output channel to -127..127
            axes = (0, 1, 3) if "transpose" in layer.name else (0, 1, 2)
            scale = np.abs(arrays[0]).max(axes, keepdims=True) / 127
            arrays[0] = np.rint(arrays[0] / scale) * scale
        rounded.get_layer(layer.name).set_weights(arrays)
    output = Artifact(content).run(frames[0][0])
    assert db(output, model(frames[0]).numpy()[0]) >= 40
    assert db(output, rounded(frames[0]).numpy()[0]) >= 80
