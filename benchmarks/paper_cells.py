"""The paper's cells as a smooth test problem for samplers: microseconds instead of a training.

Nine parameters describe a U-Net of five levels: up-sampling, activation, precision, pruned share
and five widths. Latencies are those of `nas.devices.paper_phones.device` (models fitted to the
paper's published cells), computed here for many networks at once; `check` compares both. PSNR is
the curve of `evaluators.published_quality`. Assumed here, not published: a pruned share s leaves
every width sqrt(1 - s) of its channels, in steps of 4, and where the curve is drawn far beyond its
rows it levels off at `FLOOR_DB`, where a network does nothing. All is smooth, which flatters
surrogates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from evaluators import published_quality
from nas.devices.paper_phones import latency_model
from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import SIZE
from nas.devices.paper_phones.rules import RULES, PhoneRules, Rule
from nas.networks.candidate import Precision
from nas.tflite.operations import PICTURE, Operations, of_graph
from search_spaces import UNet
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS

Floats = npt.NDArray[np.float64]
PHONES = tuple(RULES)
PRECISIONS: tuple[Precision, ...] = ("float", "int8-ptq", "int8-qat")
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
FACTORS = (0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5)
WIDTHS = tuple(tuple(int(w * f) for f in FACTORS) for w in (32, 64, 128, 128, 128))
FLOOR_DB = 26.0
SPACE: dict[str, tuple[Any, ...]] = {
    "upsampling": UPSAMPLINGS,
    "activation": ACTIVATIONS,
    "precision": PRECISIONS,
    "pruned_share": SHARES,
    **{f"width_{level}": widths for level, widths in enumerate(WIDTHS)},
}
NOISE = (0.05, 0.02)  # dB, and the relative deviation of a latency


def suggested(trial: optuna.Trial) -> dict[str, Any]:
    """Return a trial's nine parameters."""
    return {name: trial.suggest_categorical(name, choices) for name, choices in SPACE.items()}


def row_of(parameters: Mapping[str, Any]) -> npt.NDArray[np.intp]:
    """The number of each choice."""
    return np.array([choices.index(parameters[name]) for name, choices in SPACE.items()])


def drawn(random: np.random.Generator, count: int) -> npt.NDArray[np.intp]:
    """Return rows, drawn uniformly."""
    return np.stack([random.integers(0, len(c), count) for c in SPACE.values()], axis=1)


def widths_of(rows: npt.NDArray[np.intp]) -> Floats:
    """The channels of each level (n, 5) after pruning."""
    full = np.stack([np.array(WIDTHS[level])[rows[:, 4 + level]] for level in range(5)], axis=1)
    left = full * np.sqrt(1 - np.array(SHARES)[rows[:, 3]])[:, None]
    return np.maximum(4.0, 4 * np.floor(left / 4 + 0.5))


@dataclass(frozen=True)
class Work:
    """The steps of networks of one kind: constants, and (n) arrays of channels and MACs."""

    template: Operations
    channels: list[Floats]
    macs: list[Floats]

    def elements(self, step: int) -> Floats:
        """Return the elements of a step's output, in millions."""
        height, width = self.template.steps[step].shape[:2]
        return self.channels[step] * (height * width / 1e6)


def values(rows: npt.NDArray[np.intp]) -> Floats:
    """PSNR in dB and the three phones' latencies in ms (n, 4), without noise."""
    found = np.empty((len(rows), 1 + len(PHONES)))
    kinds, which = np.unique(rows[:, :3], axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        here = np.flatnonzero(which.ravel() == number)
        precision = PRECISIONS[kind[2]]
        work = _work(UPSAMPLINGS[kind[0]], ACTIVATIONS[kind[1]], precision, widths_of(rows[here]))
        found[here, 0] = _psnr_db(work, ACTIVATIONS[kind[1]] == "relu", precision)
        for column, phone in enumerate(PHONES, 1):
            found[here, column] = _latency_ms(RULES[phone], work)
    return found


def _work(upsampling: Any, activation: Any, precision: Precision, widths: Floats) -> Work:
    """Read the wiring off one network, and put everybody's widths into it."""
    names = (8, 16, 24, 40, 56)  # widths that differ, so that each tells its level
    template = of_graph(UNet(upsampling, activation, names, 4, 7).graph(), SIZE, precision)
    channels: list[Floats] = []
    macs: list[Floats] = []
    for step in template.steps:
        inputs = [np.full(len(widths), 3.0) if n == PICTURE else channels[n] for n in step.sources]
        before = [3 if n == PICTURE else template.steps[n].shape[2] for n in step.sources]
        height, width, wide = step.shape
        if step.op == "CONV_2D":
            out = np.full(len(widths), 3.0) if wide == 3 else widths[:, names.index(wide)]
            taps = step.conv_macs / (height * width * wide * before[0])
            cost = height * width * taps * inputs[0] * out
        elif step.op == "TRANSPOSE_CONV":
            out = np.floor(inputs[0] / 2)
            cost = step.conv_macs / (wide * before[0]) * inputs[0] * out
        else:
            many = {"CONCATENATION": sum(inputs), "DEPTH_TO_SPACE": inputs[0] / 4}
            out = np.asarray(many.get(step.op, inputs[0]), np.float64)
            cost = np.zeros(len(widths))
        channels.append(out)
        macs.append(cost)
    return Work(template, channels, macs)


def _psnr_db(work: Work, relu: bool, precision: Precision) -> Floats:
    theirs = published_quality._by_level(network(published_quality._FINAL))
    ours: dict[tuple[int, int], Any] = dict.fromkeys(theirs, 0.0)
    for step, macs in zip(work.template.steps, work.macs, strict=True):
        ours[step.shape[1], step.shape[0]] = ours[step.shape[1], step.shape[0]] + macs
    total = sum(theirs.values())
    ratio = 1 / sum(macs / total * macs / ours[level] for level, macs in theirs.items())
    curve = published_quality._fitted()
    lost = curve.spread_db * np.minimum(ratio, published_quality.SEEN_TO) ** -curve.power
    plain = (
        curve.best_db
        - lost
        - curve.relu_db * relu
        - published_quality._precision_drop_db(precision)
    )
    return FLOOR_DB + np.logaddexp(0.0, 2 * (plain - FLOOR_DB)) / 2


def _latency_ms(phone: PhoneRules, work: Work) -> Floats:
    """As `modelled_fit.features` and `LatencyModel.latency_ms`, for many networks."""
    model = latency_model.fitted(phone.phone).coefficients()
    steps = work.template.steps
    nobody = np.zeros(len(work.channels[0]), bool)
    fallen: list[npt.NDArray[np.bool_]] = []
    for number in range(len(steps)):
        falls = nobody.copy()
        for rule in phone.rules:
            if rule.outcome == "cpu":
                falls |= _holds(rule, number, work, fallen)
        fallen.append(falls)
    transposed = any(
        s.op == "TRANSPOSE_CONV" and f.any() for s, f in zip(steps, fallen, strict=True)
    )
    latency = np.zeros(len(nobody))
    for number, step in enumerate(steps):
        elements, gmacs = work.elements(number), work.macs[number] / 1e9
        cpu = _cpu(model, step.op, elements, gmacs)
        fast = _fast(model, step.op, elements, gmacs, work.channels[number])
        slow = phone.slow_prelu and transposed and step.op == "PRELU"
        factor = model.get(step.dtype, 1.0)
        latency += np.where(fallen[number] | slow, cpu, factor * fast)
    return latency


def _holds(rule: Rule, number: int, work: Work, fallen: list[Any]) -> npt.NDArray[np.bool_]:
    steps = work.template.steps
    step = steps[number]
    none = np.zeros(len(work.channels[0]), bool)
    if rule.op != step.op or step.dtype not in rule.types or len(step.sources) < rule.min_inputs:
        return none
    if rule.window_over_stride and not step.window_over_stride:
        return none
    holds = work.elements(number) * 1e6 >= rule.min_elements
    if not rule.after:
        return holds
    after = none
    for source in step.sources:
        if source != PICTURE and steps[source].op in rule.after:
            after = after | (fallen[source] if rule.after_fallen else ~none)
    return holds & after


def _cpu(model: Mapping[str, float], op: str, elements: Floats, gmacs: Floats) -> Floats:
    if op == "TRANSPOSE_CONV":
        return model["cpu_transpose"] * elements
    if op == "CONCATENATION":
        return model["cpu_concat"] * elements
    return np.where(gmacs > 0, model["cpu_mac"] * gmacs, model["cpu_element"] * elements)


def _fast(
    model: Mapping[str, float], op: str, elements: Floats, gmacs: Floats, channels: Floats
) -> Floats:
    time = model["mac"] * gmacs
    if op == "PRELU":
        return time + model["prelu"] * elements
    time = time + model["operation"]
    if op == "CONCATENATION":
        return time + model["concat"] * elements
    if op in ("DEPTH_TO_SPACE", "RESIZE_BILINEAR"):
        return time + model["move"] * elements
    time = time + model["element"] * elements
    if op == "TRANSPOSE_CONV":
        time = time + model["transpose"] * elements
    ragged = (gmacs > 0) & (channels % latency_model.ALIGNMENT > 0) & (channels > 4)
    return time + np.where(ragged, model["unaligned"] * elements, 0.0)


def check(count: int = 20, seed: int = 0) -> float:
    """The largest relative difference from `paper_phones.latency_model` over drawn networks."""
    rows = drawn(np.random.default_rng(seed), count)
    worst = 0.0
    for row, told, widths in zip(rows, values(rows), widths_of(rows), strict=True):
        graph = UNet(
            UPSAMPLINGS[row[0]], ACTIVATIONS[row[1]], tuple(map(int, widths)), 4, 7
        ).graph()
        operations = of_graph(graph, SIZE, PRECISIONS[row[2]])
        for phone, latency in zip(PHONES, told[1:], strict=True):
            wanted = latency_model.features(RULES[phone], operations)
            expected = latency_model.fitted(phone).latency_ms(wanted)
            worst = max(worst, abs(latency / expected - 1))
        curve = published_quality.estimate(operations, PRECISIONS[row[2]])
        if curve.psnr_db > FLOOR_DB + 4 and curve.source == "modelled":
            worst = max(worst, abs(told[0] - curve.psnr_db) / 10)
    return worst


class LinearPredictor:
    """A predictor as one has before a search: time per kind of work, fitted to few networks.

    Non-negative least squares of relative errors, for each phone: MACs and elements by type, the
    up-sampling's and PReLU's elements by type, and a constant. It knows nothing of what falls back
    to the CPU by size, nor of channels that don't fill a vector.
    """

    def __init__(self, networks: int, seed: int) -> None:
        from scipy.optimize import nnls

        random = np.random.default_rng([seed, 77])
        rows = drawn(random, networks)
        noise = np.exp(NOISE[1] * random.standard_normal((networks, len(PHONES))))
        measured = values(rows)[:, 1:] * noise
        work = np.array([self._features(row) for row in rows])
        self._times = np.stack(
            [nnls(work / told[:, None], np.ones(networks))[0] for told in measured.T]
        )

    def __call__(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Latencies in ms by the objective's index: 1 for the first phone."""
        told = self._times @ self._features(row_of(parameters))
        return {index: max(float(ms), 1e-3) for index, ms in enumerate(told, 1)}

    def errors(self, count: int = 300) -> Floats:
        """The mean absolute relative error on networks that it never saw, for each phone."""
        rows = drawn(np.random.default_rng(999), count)
        told = np.array([self._times @ self._features(row) for row in rows])
        return np.abs(told / values(rows)[:, 1:] - 1).mean(axis=0)

    @staticmethod
    def _features(row: npt.NDArray[np.intp]) -> Floats:
        up, activation, precision = (int(one) for one in row[:3])
        left = (1 - SHARES[row[3]]) ** 0.5
        widths = [max(4, 4 * int(WIDTHS[n][row[4 + n]] * left / 4 + 0.5)) for n in range(5)]
        found = np.zeros(15)
        integer = precision > 0
        macs = elements = moved = 0.0
        for level, width in enumerate(widths):
            pixels = 0.9216 / 4**level
            below = (3, *widths)[level]
            taps = 49 if level == 0 else 9
            macs += pixels * width * (taps * below + 27 * width)
            elements += pixels * width * 4
            if level < 4:
                risen = widths[level + 1] * (0.5, 0.25, 1.0)[up]
                macs += pixels * width * 9 * (risen + 4 * width)
                elements += pixels * width * 4
                moved += pixels * risen
        found[0 if not integer else 1] = macs / 1e3
        found[2 if not integer else 3] = elements
        found[4 + up + 3 * integer] = moved
        if activation == 1:
            found[10 if not integer else 11] = elements
            found[12] = elements * (up == 0)
        found[13] = 1.0
        found[14] = moved * (up == 0) * (activation == 1)
        return found
