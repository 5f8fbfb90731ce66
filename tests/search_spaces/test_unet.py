import json
import random

import optuna
import pytest

from nas.errors import ConfigError
from nas.networks.branches import shipped
from nas.networks.candidate import Candidate, training_graph
from nas.system.hashing import content_key
from search_spaces import ARCHITECTURES, UNet, UNetSpace, architecture_from_dict
from search_spaces.unet_axes import ALL_ACTIVATIONS, BLOCKS, DOWNSAMPLINGS, SKIPS, STEMS

# Conv and profiler GMAC at 1280x720 and the figure that the paper prints (ReLU forms).
PAPER = {
    "unet-transposeconv-relu": (237.76, 238.03, 238),
    "unet-depthtospace-relu": (222.25, 222.49, 222),
    "unet-resizebilinear-relu": (255.69, 255.93, 256),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_mac_figures(name: str) -> None:
    conv, profiler, printed = PAPER[name]
    macs = ARCHITECTURES[name].graph().macs(720, 1280)
    assert macs.conv / 1e9 == pytest.approx(conv, abs=0.005)
    assert macs.profiler / 1e9 == pytest.approx(profiler, abs=0.005)
    assert round(macs.profiler / 1e9) == printed


def test_prelu_adds_to_the_profilers_figure_only() -> None:
    relu = ARCHITECTURES["unet-resizebilinear-relu"].graph().macs(720, 1280)
    prelu = ARCHITECTURES["unet-resizebilinear-prelu"].graph().macs(720, 1280)
    assert prelu.conv == relu.conv
    assert prelu.profiler / 1e9 == pytest.approx(256.58, abs=0.005)


def test_sampling_and_back_again_loses_nothing() -> None:
    space = UNetSpace()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    seen = set()
    for _ in range(100):
        trial = study.ask()
        network = space.sample(trial)
        assert space.to_parameters(network) == trial.params
        fixed = optuna.trial.FixedTrial(space.to_parameters(network))
        assert space.sample(fixed) == network
        assert architecture_from_dict(json.loads(json.dumps(network.to_dict()))) == network
        seen.add(len(network.widths))
    assert seen == {3, 4, 5}


def test_the_papers_network_is_in_the_default_space() -> None:
    space = UNetSpace(widths=(32, 64, 128))
    for network in [value for value in ARCHITECTURES.values() if isinstance(value, UNet)]:
        assert space.sample(optuna.trial.FixedTrial(space.to_parameters(network))) == network


def test_a_network_outside_of_the_space_is_named() -> None:
    with pytest.raises(ConfigError, match=r"first_kernel=9 is not in the space, which has \[3"):
        UNetSpace().to_parameters(UNet(first_kernel=9))
    with pytest.raises(ConfigError, match=r"width_1=20 is not in the space"):
        UNetSpace().to_parameters(UNet(widths=(16, 20, 32)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upsampling": "resize-bilinaer"}, "Did you mean 'resize-bilinear'"),
        ({"activation": "gelu"}, "unknown activation 'gelu'"),
        ({"widths": (32,)}, "at least 2 levels"),
        ({"widths": (32, 30)}, "multiple of 4"),
        ({"convolutions": 0}, "at least 1"),
        ({"first_kernel": 4}, "odd"),
    ],
)
def test_bad_values_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UNet(**changes)


def test_bad_json_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown architecture family 'resnet'"):
        architecture_from_dict({"family": "resnet"})
    values = UNet().to_dict() | {"depth": 3}
    with pytest.raises(ConfigError, match="these differ: \\['depth'\\]"):
        architecture_from_dict(values)


def test_spaces_with_bad_choices_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"UNetSpace\.levels"):
        UNetSpace(levels=())
    with pytest.raises(ConfigError, match="a choice twice"):
        UNetSpace(widths=(8, 8))
    with pytest.raises(ConfigError, match="multiple of 4"):
        UNetSpace(widths=(8, 10))


def _brute_force_conv_macs(network: UNet, height: int, width: int) -> int:
    """Counted stage by stage from the paper's table, apart from `Graph`."""
    total, pixels = 0, [height * width // 4**level for level in range(len(network.widths))]

    def block(first: int, kernel: int, level: int) -> int:
        out = network.widths[level]
        rest = (network.convolutions - 1) * 9 * out * out
        return (kernel**2 * first * out + rest) * pixels[level]

    total += block(3, network.first_kernel, 0)
    for level in range(1, len(network.widths)):
        total += block(network.widths[level - 1], 3, level)
    for level in reversed(range(len(network.widths) - 1)):
        below = network.widths[level + 1]
        up = {"transpose-conv": below // 2, "depth-to-space": below // 4, "resize-bilinear": below}
        if network.upsampling == "transpose-conv":
            total += 4 * below * (below // 2) * pixels[level + 1]
        total += block(up[network.upsampling] + network.widths[level], 3, level)
    return total + 9 * network.widths[0] * 3 * pixels[0]


def test_macs_against_a_count_by_stages() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
    random.seed(1)
    for _ in range(50):
        network = UNetSpace().sample(study.ask())
        side = 16 * random.randint(1, 6)
        assert network.graph().macs(side, 64).conv == _brute_force_conv_macs(network, side, 64)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": 8}, r"UNet.widths=8: expected a list"),
        ({"widths": [8, "16"]}, r"UNet.widths\[1\]='16': expected int"),
        ({"upsampling": 3}, "UNet.upsampling=3: expected str"),
        ({"global_residual": 1}, "UNet.global_residual=1: expected bool"),
        ({"depth": 3}, r"these differ: \['depth'\]"),
    ],
)
def test_json_that_is_no_unet_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        UNet.from_dict(UNet().to_dict() | change)


def test_the_papers_networks_keep_their_keys_and_labels() -> None:
    """Recorded before there were other axes: old runs and cards name networks by these."""
    known = {
        "unet-transposeconv-relu": "27b8e49d4924",
        "unet-transposeconv-prelu": "6579cb3b5ab9",
        "unet-depthtospace-relu": "7190b6fea138",
        "unet-depthtospace-prelu": "8ca3dda6be3f",
        "unet-resizebilinear-relu": "c6f9129029f3",
        "unet-resizebilinear-prelu": "4518726a1327",
    }
    for name, key in known.items():
        assert Candidate(ARCHITECTURES[name]).key == key
        assert ARCHITECTURES[name].label == f"{name} 32-64-128-128-128 x4 k7"
    assert content_key(UNetSpace().to_dict()) == "778d90ea6357"


WIDE = UNetSpace(
    activation=ALL_ACTIVATIONS,
    levels=(2, 3),
    widths=(32, 64),
    width_multiple=32,
    skip=SKIPS,
    downsampling=DOWNSAMPLINGS,
    stem=STEMS,
    block=BLOCKS,
    decoder_convolutions=(None, 1),
    bottleneck_convolutions=(3, 5),
)


def drawn(count: int, seed: int = 0) -> list[UNet]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    return [WIDE.sample(study.ask()) for _ in range(count)]


def test_wider_axes_are_sampled_and_come_back_from_parameters_and_json() -> None:
    networks = drawn(150)
    for network in networks:
        fixed = optuna.trial.FixedTrial(WIDE.to_parameters(network))
        assert WIDE.sample(fixed) == network
        assert architecture_from_dict(json.loads(json.dumps(network.to_dict()))) == network
    for name, choices in (("skip", SKIPS), ("block", BLOCKS), ("activation", ALL_ACTIVATIONS)):
        assert {getattr(network, name) for network in networks} == set(choices)
    assert len({network.label for network in networks}) == len(set(networks))


def test_sides_divide_by_the_reduction_of_every_network_of_the_space() -> None:
    assert WIDE.reduction == 16  # a stem of 4, and two poolings
    assert UNet(widths=(8, 8, 8), stem=2).graph().reduction == 8
    for network in drawn(20):
        assert WIDE.reduction % network.graph().reduction == 0


def _wider_conv_macs(network: UNet, height: int, width: int) -> int:
    """Counted stage by stage from the docstring of `UNet`, apart from `Graph`."""
    height, width = height // network.stem, width // network.stem
    pixels = [height * width // 4**level for level in range(len(network.widths))]
    deepest = len(network.widths) - 1

    def conv(cin: int, cout: int) -> int:
        match network.block:
            case "depthwise-separable":
                return 9 * cin + cin * cout
            case "inverted-bottleneck":
                return 4 * cin * cout + 9 * 4 * cout + 4 * cout * cout
        return 9 * cin * cout

    def stage(cin: int, level: int, count: int, first: int = 0) -> int:
        out = network.widths[level]
        start = first or conv(cin, out)
        return (start + (count - 1) * conv(out, out)) * pixels[level]

    entry = network.first_kernel**2 * 3 * network.stem**2 * network.widths[0]
    total = 0
    for level, width_ in enumerate(network.widths):
        count = network.bottleneck_convolutions if level == deepest else network.convolutions
        count = count or network.convolutions
        above = network.widths[level - 1]
        if level:
            area = {"max-pool": 0, "strided-conv": 9, "space-to-depth": 4}[network.downsampling]
            total += area * above * above * pixels[level]
        total += stage(above, level, count, 0 if level else entry)
        if level < deepest:
            below, ups = network.widths[level + 1], network.decoder_convolutions
            small = pixels[level + 1]
            kind = (network.upsampling, network.skip)
            total += {
                ("transpose-conv", "concatenation"): 4 * below * (below // 2) * small,
                ("transpose-conv", "addition"): 4 * below * width_ * small,
                ("depth-to-space", "addition"): below * 4 * width_ * small,
                ("resize-bilinear", "addition"): below * width_ * small,
            }.get(kind, 0)
            left = {"transpose-conv": below // 2, "depth-to-space": below // 4}
            joined = left.get(network.upsampling, below) + width_
            cin = width_ if network.skip == "addition" else joined
            total += stage(cin, level, ups or network.convolutions)
    return total + 9 * network.widths[0] * 3 * network.stem**2 * pixels[0]


def test_macs_of_wider_axes_against_a_count_by_stages() -> None:
    for network in drawn(150, seed=1):
        assert network.graph().macs(48, 64).conv == _wider_conv_macs(network, 48, 64)


def test_branches_are_trained_and_ship_as_the_plain_block() -> None:
    network = UNet(widths=(8, 8), block="branched")
    assert network.graph() == UNet(widths=(8, 8)).graph()
    assert shipped(network.training_graph()) == network.graph()
    assert network.training_graph().parameters() > 2 * network.graph().parameters()
    assert training_graph(UNet(widths=(8, 8))) == UNet(widths=(8, 8)).graph()


def test_a_count_of_its_own_that_is_the_common_one_is_no_other_network() -> None:
    assert UNet(convolutions=2, decoder_convolutions=2) == UNet(convolutions=2)
    assert UNet(convolutions=2, decoder_convolutions=1).label.split()[2] == "x2+2+1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": (1, 3)}, r"stem=3: expected 1 \(none\), 2 or 4"),
        ({"skip": ("adition",)}, "unknown skip 'adition'.*Did you mean 'addition'"),
        ({"block": ("plain", "residual"), "convolutions": (1, 2)}, "block='residual' with conv"),
        ({"widths": (16, 24), "width_multiple": 16}, "24 is no multiple of width_multiple=16"),
        ({"width_multiple": 6}, "width_multiple=6: expected a multiple of 4"),
        ({"decoder_convolutions": (0,)}, "decoder_convolutions=0: at least 1"),
    ],
)
def test_combinations_that_can_not_be_are_refused_when_the_space_is_built(
    changes: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        UNetSpace(**changes)


def test_a_network_off_the_axes_of_a_space_is_named() -> None:
    with pytest.raises(ConfigError, match=r"skip='addition' is not in the space, which has"):
        UNetSpace(widths=(32, 64, 128)).to_parameters(UNet(skip="addition"))
    with pytest.raises(ConfigError, match=r"UNet\.stem='2': expected int"):
        UNet.from_dict(UNet(stem=2).to_dict() | {"stem": "2"})
    with pytest.raises(ConfigError, match=r"UNet\.decoder_convolutions='1': expected int"):
        UNet.from_dict(UNet().to_dict() | {"decoder_convolutions": "1"})
