"""What the cells say of kinds of operations: by hand from the paper's tables."""

import pytest

from nas.devices.paper_phones.device import tell
from nas.devices.paper_phones.evidence import in_words, kinds, seen, unseen
from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import PHONES, SIZE
from nas.tflite.operations import Operations, of_graph
from search_spaces import UNet

PRELU = UNet("resize-bilinear", "prelu")


def listed(precision: str = "float", **axes: object) -> Operations:
    architecture = UNet("resize-bilinear", "prelu", **axes)
    return of_graph(architecture.graph(), SIZE, precision)  # type: ignore[arg-type]


@pytest.mark.parametrize("phone", PHONES)
def test_additions_and_strides_ran_in_float_on_every_phone(phone: str) -> None:
    assert ("ADD", "float32") in seen(phone)  # EDSR and SGN
    assert ("CONV_2D with a stride", "float32") in seen(phone)  # the FPN
    assert ("ADD", "int8") not in seen(phone)  # Table 4's networks have none
    assert not unseen(phone, listed(skip="addition", downsampling="strided-conv"))
    assert set(unseen(phone, listed("int8-ptq", skip="addition")).values()) == {("ADD", "int8")}


def test_every_published_network_is_of_seen_kinds() -> None:
    for phone in PHONES:
        for name in ("edsr", "sgn", "fpn", "unet-resizebilinear-prelu"):
            assert not unseen(phone, network(name))
    assert ("CONV_2D with a stride", "float32") in kinds(network("fpn"))
    assert ("CONV_2D with a stride", "float32") not in kinds(network("sgn"))


def test_an_unseen_kind_is_named_and_widens_the_interval() -> None:
    plain, leaky = (
        listed(widths=(32, 64, 96, 96, 96)),
        UNet("resize-bilinear", "leaky-relu", (32, 64, 96, 96, 96)),
    )
    figure = tell("reno3-5g", of_graph(leaky.graph(), SIZE))
    assert figure.caution == "no published cell has LEAKY_RELU in float32"
    known = tell("reno3-5g", plain)
    assert known.caution is None
    reach = [one.interval_ms[1] / one.latency_ms for one in (known, figure)]  # type: ignore[index]
    assert reach[1] > reach[0]


def test_a_network_of_nothing_that_is_known_has_an_estimate() -> None:
    operations = of_graph(UNet("resize-bilinear", "relu").graph(), SIZE, "int16-ptq")
    figure = tell("pixel-4", operations)
    assert figure.latency_ms is not None
    low, high = figure.interval_ms or (0, 0)
    assert high / low > 10
    assert "no published cell has CONV_2D in int16" in (figure.caution or "")


def test_words() -> None:
    assert in_words({}) == ""
    found = {3: ("ADD", "int8"), 5: ("ADD", "int8"), 7: ("PAD", "int8")}
    assert in_words(found) == "no published cell has ADD in int8, PAD in int8"
