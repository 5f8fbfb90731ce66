"""Prunes in rounds: decides which channels go, until a share of the MACs is gone.

The method is that of "Architecture-aware Network Pruning for Vision Quality Applications" (Wang et
al., ICIP 2019) as far as it is published: iterative, an adaptive magnitude threshold, weighed by
what a channel costs, steered by the quality. Beside it stands the plain alternative: the same share
of every layer, least L1 norm first. This module knows graphs and arrays only: the caller trains.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, final, get_args

import numpy as np
import numpy.typing as npt

from nas.compression.channel_costs import ChannelCosts
from nas.compression.channels import Bools, Groups, filter_norms
from nas.errors import ConfigError, UnreachableShareError, unknown
from nas.networks.graph import Weights

Method = Literal["adaptive", "uniform-l1"]
Floats = npt.NDArray[np.float64]
TOLERANCE = 0.015  # how far below its target a network may end, as a share of it
LADDER = 0.1  # a deeper pruning passes through all multiples of this share, and so can start there


@final
@dataclass(frozen=True)
class Pruning:
    """The settings of a pruning.

    A round removes `round_share` of the MACs. Where the check set's PSNR falls by more than
    `drop_db` in it, the step of the layer that hurt most is undone and its threshold halved, at
    most `undos` times a round. Each layer keeps `minimum_channels`. A layer's threshold grows with
    the MACs that one of its channels saves to the power of `cost_power`, and falls with the share
    of its channels that remains to the power of `thin_power`: a layer's norms lie close together,
    so that without it one layer would be emptied before the next is touched. The network is trained
    for `round_steps` of the float schedule's steps for each `round_share` that went, at the end for
    `final_steps` of them, at `rate` of its learning rate.

    Raises ConfigError on a value out of range.
    """

    method: Method = "adaptive"
    round_share: float = 0.0075
    drop_db: float = 0.1
    undos: int = 3
    minimum_channels: int = 4
    cost_power: float = 0.5
    thin_power: float = 2.0
    round_steps: float = 0.01
    final_steps: float = 0.25
    rate: float = 0.3

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise unknown("pruning method", self.method, get_args(Method))
        for name in ("round_share", "minimum_channels", "rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Pruning.{name}={getattr(self, name)}: expected more than 0")
        for name in ("drop_db", "undos", "thin_power", "round_steps", "final_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Pruning.{name}={getattr(self, name)}: expected 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types, for keys."""
        return asdict(self)


class Prunable(Protocol):
    """A network whose channels can be masked, judged and trained; see
    `finetuning.MaskedNetwork`.
    """

    def weights(self) -> Weights:
        """Return the weights of the whole network, by layer."""
        ...

    def psnr_db(self, kept: Bools) -> float:
        """Return the PSNR on the check set with the groups of `kept` alone."""
        ...

    def train(self, kept: Bools) -> None:
        """Train a little after a round, with the groups of `kept` alone."""
        ...


@final
@dataclass(frozen=True, eq=False)
class PruningState:
    """The point that a pruning has reached.

    `kept` says which groups remain; `caution` divides the threshold of each site.
    """

    kept: Bools
    caution: Floats

    @classmethod
    def start(cls, groups: Groups) -> PruningState:
        """Return the state in which nothing is removed."""
        return cls(groups.all_kept(), np.ones(len(groups.sites)))


def ladder(share: float) -> list[float]:
    """Return the shares at which a pruning to `share` stops, `share` itself last.

    The way to a deeper target leads through the shallower ones, whatever was asked for first: so a
    deeper pruning can continue a stored shallower one, with the same result as without it.
    """
    count = int(np.floor(share / LADDER + 1e-9))
    stops = [round(LADDER * step, 10) for step in range(1, count + 1)]
    return stops if stops and np.isclose(stops[-1], share) else [*stops, share]


def check_share(groups: Groups, share: float, settings: Pruning) -> None:
    """Raise an error where `share` of the MACs can't be pruned.

    It is a ConfigError where `share` is no share, and an UnreachableShareError, which tells the
    largest share that can go, where it is too large.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"pruned share {share:g}: expected 0 or more and less than 1")
    most = largest_share(groups, settings)
    if share > most:
        raise UnreachableShareError(
            f"can't prune {share:.1%} of the MACs: with {settings.minimum_channels} channels left "
            f"in every layer {1 - most:.1%} of them remain, so prune {most:.1%} at most (the "
            f"smallest reachable is {1 - most:.1%} of the network)",
            share - most,
        )


def largest_share(groups: Groups, settings: Pruning) -> float:
    """Return the share of the MACs that can go while every layer keeps the fewest
    channels it may.
    """
    picker = _Picker(groups, ChannelCosts(groups), groups.all_kept(), settings)
    whole = picker.macs()
    for site in range(len(groups.sites)):
        while picker.take(site):
            pass
    return 1 - picker.macs() / whole


def prune_to(
    network: Prunable, groups: Groups, state: PruningState, share: float, settings: Pruning
) -> PruningState:
    """Prune in rounds from `state` to the first step at which `share` of the MACs is gone.

    Raises ConfigError as `check_share`.
    """
    check_share(groups, share, settings)
    costs = ChannelCosts(groups)
    whole = costs.of(groups.all_kept())
    goal = whole * (1 - share) * (1 + 1e-12)  # rounding, where the share is the largest there is
    now = costs.of(state.kept)
    while now > goal:
        until = max(goal, now - settings.round_share * whole)
        before = state
        state = _round(network, groups, costs, state, (until, goal), settings)
        if (state.kept == before.kept).all():
            gone = 1 - now / whole
            raise UnreachableShareError(
                f"can't prune {share:.1%} of the MACs: no layer has a channel left to give at "
                f"{gone:.1%}",
                share - gone,
            )
        network.train(state.kept)
        now = costs.of(state.kept)
    return state


def uniform_kept(
    groups: Groups, share: float, settings: Pruning, weights: Weights | None = None
) -> Bools:
    """Choose the groups to keep where every layer loses the same share, least L1 norm first.

    Stops at the first channel at which `share` of the MACs is gone. Without `weights` the last
    channels of each layer go: an estimate of the widths. Raises ConfigError as `check_share`.
    """
    check_share(groups, share, settings)
    if weights is None:
        scores = -np.arange(groups.count, dtype=np.float64)
    else:
        scores = relative_norms(groups, groups.all_kept(), weights, order=1)
    picker = _Picker(groups, ChannelCosts(groups), groups.all_kept(), settings, scores)
    goal = picker.macs() * (1 - share)
    queue = []
    for site, members in enumerate(picker.members):
        queue += [((rank + 1) / len(members), site, group) for rank, group in enumerate(members)]
    waiting = deque(site for _, site, _ in sorted(queue))
    for turn in range(2 * len(waiting)):  # those that would take it too far come once more
        if picker.macs() <= goal or not waiting:
            break
        site = waiting.popleft()
        if turn < len(queue) and picker.takes_too_far(site, goal):
            waiting.append(site)
        else:
            picker.take(site)
    return picker.kept


def relative_norms(groups: Groups, kept: Bools, weights: Weights, order: int = 2) -> Floats:
    """Return each group's score: its filters' norms, each relative to the mean of its layer's.

    The norm is L2, not the mean of the absolute values: a filter that copies one channel (networks
    may start by copying the picture) has one large weight among zeros, the least of means and an L2
    norm like any other's. The score is inf for groups without filters.
    """
    sums, counts = np.zeros(groups.count), np.zeros(groups.count)
    for name, norms in filter_norms(groups, weights, order).items():
        of = groups.of[name]
        mean = norms[kept[of]].mean()
        np.add.at(sums, of, norms / mean if mean > 0 else norms)
        np.add.at(counts, of, 1)
    scores: Floats = np.divide(sums, counts, out=np.full(groups.count, np.inf), where=counts > 0)
    return scores


def _round(
    network: Prunable,
    groups: Groups,
    costs: ChannelCosts,
    state: PruningState,
    until: tuple[float, float],
    settings: Pruning,
) -> PruningState:
    """Remove channels until at most `until` MACs remain, where the quality allows it.

    `until` holds the MACs of this round's end and, the least, of the last round's.
    """
    scores = relative_norms(groups, state.kept, network.weights())
    savings = _savings(groups, costs, state.kept)
    before = network.psnr_db(state.kept)
    caution = state.caution.copy()
    for undone in range(settings.undos + 1):
        picker = _Picker(groups, costs, state.kept, settings, scores)
        kept = _pick(picker, scores, savings, caution, until, settings)
        if undone == settings.undos or before - network.psnr_db(kept) <= settings.drop_db:
            break
        caution[_worst(network, groups, state.kept, kept)] *= 2
    return PruningState(kept, caution)


def _worst(network: Prunable, groups: Groups, before: Bools, after: Bools) -> int:
    """Return the site whose removed groups, alone, cost the most quality."""
    gone = before & ~after
    losses = {}
    for site in np.unique(groups.site[gone]):
        alone = before & ~(gone & (groups.site == site))
        losses[int(site)] = -network.psnr_db(alone)
    return max(losses, key=lambda site: losses[site])


def _pick(
    picker: _Picker,
    scores: Floats,
    savings: Floats,
    caution: Floats,
    until: tuple[float, float],
    settings: Pruning,
) -> Bools:
    """Raise the threshold until at most `until` MACs remain; return the groups that remain then.

    A group falls where score < threshold * (what it saves)^cost_power * (what is left)^thin_power /
    caution; so the next to fall is the one with the least score over the rest. One that would take
    the network far below its last target, since many layers have it, falls if nothing else is left
    to.
    """
    while picker.macs() > until[0]:
        best: tuple[bool, float, int] | None = None
        for site, members in enumerate(picker.members):
            if not members or not picker.may_take(site):
                continue
            weight = savings[site] ** settings.cost_power / caution[site]
            weight *= picker.left(site) ** settings.thin_power
            price = scores[members[0]] / weight
            too_far = picker.takes_too_far(site, until[1])
            if best is None or (too_far, price) < best[:2]:
                best = (too_far, price, site)
        if best is None:
            break
        picker.take(best[2])
    return picker.kept


def _savings(groups: Groups, costs: ChannelCosts, kept: Bools) -> Floats:
    """Return the MACs that one more group of each site saves, relative to the mean over sites.

    It is 0 where a site has no group to give.
    """
    channels, counts = groups.channels(kept), costs.counts(kept)
    now = costs.macs(counts)
    savings = np.zeros(len(groups.sites))
    for site, producers in enumerate(groups.sites):
        if min(channels[name] - count for name, count in producers) > 0:
            one = int(np.flatnonzero(groups.site == site)[0])
            savings[site] = now - costs.macs(costs.without(counts, one))
    relative: Floats = savings / max(float(savings.mean()), 1e-30)
    return relative


class _Picker:
    """Removes groups site by site, within what each layer may lose.

    `members` are the groups of each site that remain, in the order in which they go: by their
    score.
    """

    def __init__(
        self,
        groups: Groups,
        costs: ChannelCosts,
        kept: Bools,
        settings: Pruning,
        scores: Floats | None = None,
    ) -> None:
        self.kept = kept.copy()
        self.members: list[deque[int]] = [deque() for _ in groups.sites]
        remaining = np.flatnonzero(kept & (groups.site >= 0))
        if scores is not None:
            remaining = remaining[np.argsort(scores[remaining], kind="stable")]
        for group in remaining:
            self.members[groups.site[group]].append(int(group))
        self._costs, self._counts = costs, costs.counts(kept)
        self._sites = groups.sites
        self._channels = groups.channels(kept)
        whole = groups.channels(groups.all_kept())
        self._whole = whole
        self._least = {name: min(settings.minimum_channels, n) for name, n in whole.items()}

    def macs(self) -> float:
        """Return the MACs of the network that remains."""
        return self._costs.macs(self._counts)

    def may_take(self, site: int) -> bool:
        return all(
            self._channels[name] - count >= self._least[name] for name, count in self._sites[site]
        )

    def takes_too_far(self, site: int, goal: float) -> bool:
        """Return whether the site's next group, of several layers, ends more than
        `TOLERANCE` below.
        """
        if len(self._sites[site]) == 1 or not self.members[site]:
            return False
        after = self._costs.without(self._counts, self.members[site][0])
        return self._costs.macs(after) < goal * (1 - TOLERANCE)

    def left(self, site: int) -> float:
        """Return the share of the site's channels that remains, of the layer that has the least."""
        return min(self._channels[name] / self._whole[name] for name, _ in self._sites[site])

    def take(self, site: int) -> bool:
        """Remove the next group; return False where there is none or its layers have no more to
        give.
        """
        if not self.members[site] or not self.may_take(site):
            return False
        group = self.members[site].popleft()
        self.kept[group] = False
        self._counts = self._costs.without(self._counts, group)
        for name, count in self._sites[site]:
            self._channels[name] -= count
        return True
