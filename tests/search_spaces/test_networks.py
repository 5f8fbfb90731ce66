import json

import optuna
import pytest

from nas.errors import ConfigError
from nas.networks.candidate import Candidate
from search_spaces import ARCHITECTURES, EDSR, FPN, NetworkSpace, UNet, UNetSpace, with_networks

UNETS = UNetSpace(levels=(2, 3), widths=(4, 8), convolutions=(1,), first_kernel=(3,))
SPACE = NetworkSpace({name: ARCHITECTURES[name] for name in ("edsr", "sgn", "dbpn")}, UNETS)


def test_sampling_and_back_again_loses_nothing() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    kinds = set()
    for _ in range(80):
        trial = study.ask()
        network = SPACE.sample(trial)
        assert SPACE.to_parameters(network) == trial.params
        assert SPACE.sample(optuna.trial.FixedTrial(SPACE.to_parameters(network))) == network
        kinds.add(trial.params["network"])
        asked = "levels" in trial.params
        assert asked == isinstance(network, UNet) == (trial.params["network"] == "unet")
    assert kinds == {"unet", "edsr", "sgn", "dbpn"}


def test_a_u_net_may_be_a_whole_network_too() -> None:
    paper = ARCHITECTURES["unet-depthtospace-relu"]  # outside of these U-Nets
    space = NetworkSpace({"chosen": paper}, UNETS)
    assert space.to_parameters(paper) == {"network": "chosen"}
    inside = UNet(widths=(4, 8), convolutions=1, first_kernel=3)
    assert space.to_parameters(inside)["network"] == "unet"


def test_what_the_space_does_not_hold_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'edsr 8 x2' is not in the space, .* U-Nets and \['ed"):
        SPACE.to_parameters(EDSR(8, 2))
    with pytest.raises(ConfigError, match="levels=5 is not in the space"):
        SPACE.to_parameters(UNet())
    with pytest.raises(ConfigError, match="give the network another name"):
        NetworkSpace({"unet": UNet()})
    with pytest.raises(ConfigError, match="networks is empty"):
        NetworkSpace({})


def test_the_space_as_a_value() -> None:
    assert SPACE.reduction == 8
    assert NetworkSpace({"fpn": FPN()}, UNETS).reduction == 4
    assert json.loads(json.dumps(SPACE.to_dict())) == SPACE.to_dict()
    assert hash(SPACE) == hash(NetworkSpace(dict(SPACE.networks), UNETS))


def test_networks_from_outside_are_tried_first(tmp_path) -> None:
    from nas.search.ask_tell import OptunaStudy
    from tests.helpers.small_study import small_study

    baselines = tuple(Candidate(value) for value in SPACE.networks.values())
    study = small_study(space=SPACE, baselines=baselines)
    memory = OptunaStudy(study, tmp_path / "journal")
    asked = [memory.ask() for _ in range(6)]
    assert [one.candidate for one in asked[:3]] == list(baselines)
    assert [one.baseline for one in asked[:3]] == [True] * 3
    assert len({one.candidate.key for one in asked}) == 6


def test_networks_are_added_to_a_space_of_unets_and_to_one_that_has_some() -> None:
    unets = UNetSpace(levels=(2,), widths=(8, 16))
    space = with_networks(unets, {"edsr": ARCHITECTURES["edsr"]})
    assert space.unets == unets
    assert space.to_parameters(ARCHITECTURES["edsr"]) == {"network": "edsr"}
    more = with_networks(space, {"sgn": ARCHITECTURES["sgn"]})
    assert set(more.networks) == {"edsr", "sgn"}
    with pytest.raises(ConfigError, match="to a UNetSpace or a NetworkSpace, not to dict"):
        with_networks({}, {"edsr": ARCHITECTURES["edsr"]})


def test_a_space_of_unets_says_where_other_networks_go() -> None:
    with pytest.raises(ConfigError, match="U-Nets alone"):
        UNetSpace().to_parameters(ARCHITECTURES["edsr"])
