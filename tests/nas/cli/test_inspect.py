import json

import pytest

from nas.cli.inspect import described, named_architecture
from nas.cli.options import parse_size
from nas.errors import ConfigError
from search_spaces import ARCHITECTURES, UNet


@pytest.mark.parametrize("text", ["1280X720", "1280x720"])
def test_a_size_is_width_and_height(text: str) -> None:
    assert parse_size(text) == (1280, 720)


@pytest.mark.parametrize("text", ["1280", "x720", "0x720", "-1x3", "1280x720x3", ""])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=f"size '{text}': expected WIDTHxHEIGHT"):
        parse_size(text)


def test_an_exported_card_names_an_architecture(tmp_path) -> None:
    network = UNet(widths=(8, 16))
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"candidate": {"architecture": network.to_dict()}}))
    assert named_architecture(str(card)) == network
    assert named_architecture("edsr") == ARCHITECTURES["edsr"]
    with pytest.raises(ConfigError, match=r"is a \.tflite file, which holds no architecture"):
        named_architecture("model.tflite")


@pytest.mark.parametrize("precision", ["", " float", " int8-ptq"])
def test_a_label_as_tables_print_it_names_an_architecture(precision: str) -> None:
    network = UNet("depth-to-space", "prelu", (8, 16), 2, 3, True, skip="addition")
    assert named_architecture(network.label + precision) == network
    with pytest.raises(ConfigError, match=r"unknown word 'int7' .* valid: res, "):
        named_architecture(f"{network.label} int7")


def test_a_networks_costs_are_the_sum_of_its_layers() -> None:
    document = described(UNet(widths=(8, 16)), 64, 32)
    assert document["size"] == [64, 32]
    assert document["layers"][0]["shape"][:2] == [32, 64]
    for name in ("gmacs_conv", "gmacs_profiler", "parameters"):
        assert sum(layer[name] for layer in document["layers"]) == pytest.approx(document[name])
