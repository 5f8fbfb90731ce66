"""The networks beside the U-Net, each at each precision: their files, through the gate."""

from functools import cache

import numpy as np
import pytest

from nas.compression.convert import convert, convert_untrained
from nas.compression.quantization import fake_quantized, int16_form
from nas.compression.verify import UNTRAINED_MINIMUM_DB, verify
from nas.errors import ConversionError
from nas.networks.candidate import PRECISIONS
from nas.networks.keras_model import build_model, folded_model
from nas.tflite.editing import in_float
from nas.tflite.file import parse_tflite
from nas.tflite.interpreter import Artifact
from nas.tflite.resizing import at_size
from nas.training.schedule import Schedule
from search_spaces import ARCHITECTURES, DBPN, EDSR, FPN, RDN, SGN, UNet
from tests.helpers.artifacts import FIVE, picture

EVERY = [(name, precision) for name in FIVE for precision in PRECISIONS]


def db(one, other):
    return -10 * np.log10(np.square(one.astype(float) - other).mean())


def side(name):
    return FIVE[name].graph().fits(32 if name != "fpn" else 76)


def frames(name):
    return [picture(side(name), side(name), number)[None] for number in range(2)]


@cache
def float_model(name):
    """With biases, and with statistics in its normalisations that are not the identity's."""
    model = build_model(FIVE[name].graph())
    rng = np.random.default_rng(0)
    for variable in model.variables:
        kind = variable.name.split("/")[-1]
        if kind in ("bias:0", "beta:0", "moving_mean:0"):
            variable.assign(rng.uniform(0.01, 0.1, variable.shape))
        elif kind in ("gamma:0", "moving_variance:0"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@cache
def model_of(name, precision):
    model = float_model(name)
    if precision != "int8-qat":
        return model
    return fake_quantized(folded_model(FIVE[name].graph(), model), frames(name))


@cache
def artifact(name, precision):
    return convert(model_of(name, precision), side(name), side(name), precision, frames(name))


@pytest.mark.parametrize(("name", "precision"), EVERY)
def test_every_file_passes_the_gate(name, precision):
    graph, sample = FIVE[name].graph(), picture(side(name), side(name), 7)
    model = model_of(name, precision)
    found = verify(artifact(name, precision), graph, model, precision, sample, minimum_db=0)
    assert found.conv_macs == graph.macs(side(name), side(name)).conv
    assert found.agreement_db > (110 if precision == "float" else 28)


# As deep as the paper's, of few channels.
DEEP = {
    "edsr": EDSR(4, 14),
    "rdn": RDN(4, 4, 3, 6),
    "dbpn": DBPN(4, 4, 3),
    "fpn": FPN(4, 1, 1, 8, 8),
    "sgn": SGN(4, 3, 11),
    "unet": UNet("transpose-conv", "prelu", (4, 4, 8), 4, 7),
}


def passes_untrained(monkeypatch, network):
    """In int8, well above the bound below which a network is refused."""
    monkeypatch.setitem(UNTRAINED_MINIMUM_DB, "int8-ptq", 32.0)
    graph = network.graph()
    schedule = Schedule(steps=5, batch=2, patch=16, learning_rate=1e-3)
    convert_untrained(graph, *2 * (graph.fits(32),), "int8-ptq", schedule)


@pytest.mark.parametrize("name", DEEP)
def test_a_deep_network_of_first_weights_passes_the_gate(monkeypatch, name):
    passes_untrained(monkeypatch, DEEP[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FIVE, "unet-resizebilinear-relu", "unet-transposeconv-prelu"])
def test_the_papers_networks_pass_the_gate_untrained(monkeypatch, name):
    passes_untrained(monkeypatch, ARCHITECTURES[name])


@pytest.mark.parametrize(("name", "precision"), EVERY)
def test_another_size_is_the_same_network(name, precision):
    content = at_size(artifact(name, precision), 88, 104)
    file = parse_tflite(content, "x")
    assert file.conv_macs == FIVE[name].graph().macs(88, 104).conv
    sample = picture(88, 104, seed=3)
    output = model_of(name, precision)(sample[None]).numpy()[0]
    assert db(Artifact(content).run(sample), output) > (100 if precision == "float" else 28)
    back = at_size(content, side(name), side(name))
    whole = parse_tflite(artifact(name, precision), "x")
    assert parse_tflite(back, "x").structure_key == whole.structure_key


def test_sizes_that_do_not_come_out():
    for name in ("dbpn", "sgn"):
        with pytest.raises(ConversionError, match="no whole size in a picture of 24x18"):
            at_size(artifact(name, "float"), 18, 24)
    with pytest.raises(ConversionError, match="no whole size in a picture of 40x40 instead of 76x"):
        at_size(artifact("fpn", "float"), 40, 40)


@pytest.mark.parametrize("name", FIVE)
def test_int16_has_a_form_that_agrees(name):
    content = artifact(name, "int16-ptq")
    seen = frames(name)[0]
    assert db(Artifact(in_float(content)).run(seen[0]), Artifact(content).run(seen[0])) > 70
    form = int16_form(float_model(name), *seen.shape[1:3])
    np.testing.assert_allclose(form(seen).numpy(), float_model(name)(seen).numpy(), atol=1e-4)
