"""docs/start/labels.md explains labels as the code makes them."""

import re
from pathlib import Path

from nas.networks.candidate import MOST_PRUNED, PRECISIONS, Candidate, Compression
from search_spaces import ARCHITECTURES, UNet
from search_spaces.unet_axes import (
    ALL_ACTIVATIONS,
    BLOCKS,
    DOWNSAMPLINGS,
    PLAIN,
    SKIPS,
    STEMS,
    UPSAMPLINGS,
)

PAGE = (Path(__file__).parents[2] / "docs" / "start" / "labels.md").read_text()
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE, re.MULTILINE))


def test_values_have_the_labels_that_the_page_gives() -> None:
    values = {label: row.strip("`") for label, row in ROWS.items() if "Candidate(" in row}
    assert len(values) >= 3
    known = {"Candidate": Candidate, "Compression": Compression, "UNet": UNet}
    for label, text in values.items():
        assert eval(text, known).label == label


def test_every_part_of_the_example_has_its_row() -> None:
    (example,) = re.findall(r"```\n(unet-.*)\n```", PAGE)
    family, upsampling, activation = example.split()[0].split("-")
    for part in (family, upsampling, activation, *example.split()[1:]):
        assert part in ROWS, part


def test_the_choices_are_those_of_the_code() -> None:
    def choices(part: str) -> set[str]:
        return set(re.findall(r"`([^`]+)`", ROWS[part].rpartition(" | ")[2]))

    assert choices("depthtospace") == {name.replace("-", "") for name in UPSAMPLINGS}
    assert choices("prelu") == {name.replace("-", "") for name in ALL_ACTIVATIONS}
    assert choices("int8-ptq") == set(PRECISIONS)
    assert choices("p30%") == {f"p{100 * MOST_PRUNED:g}%"}
    families = {network.to_dict()["family"] for network in ARCHITECTURES.values()}
    assert families <= choices("unet")


def test_the_names_on_the_command_line() -> None:
    named = {name: ROWS[name].strip("`") for name in ARCHITECTURES if name in ROWS}
    assert len(named) >= 6
    for name, label in named.items():
        assert ARCHITECTURES[name].label == label


def test_every_word_that_a_label_can_have_is_explained() -> None:
    axes = {"skip": SKIPS, "downsampling": DOWNSAMPLINGS, "block": BLOCKS, "stem": STEMS}
    axes |= {"decoder_convolutions": (1,), "bottleneck_convolutions": (3,)}
    assert axes.keys() == PLAIN.keys()
    plain = UNet("resize-bilinear", "relu", (8, 16), 2, 3, False).label.split()
    said = " ".join(ROWS)
    for axis, choices in axes.items():
        for choice in choices:
            if choice != PLAIN[axis]:
                network = UNet("resize-bilinear", "relu", (8, 16), 2, 3, False, **{axis: choice})
                (word,) = set(network.label.split()) - set(plain)
                form = r"`?x2\+\d\+\d" if word.startswith("x2+") else re.sub(r"\d", r"\\d", word)
                assert re.search(form, said), word
