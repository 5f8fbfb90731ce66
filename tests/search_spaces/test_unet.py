import json
import random

import optuna
import pytest

from nas.errors import ConfigError
from search_spaces import ARCHITECTURES, UNet, UNetSpace, architecture_from_dict

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
