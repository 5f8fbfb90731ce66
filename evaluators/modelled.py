"""Evaluators that model a candidate by the paper's cells: nothing is trained or measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from evaluators.published_quality import SEEN_FROM, estimate
from evaluators.replacements import replacements
from nas.compression.compress import expected_architecture
from nas.devices.paper_phones.device import PREFIX, PaperFigure, accelerated_mac_share, tell
from nas.devices.paper_phones.published import SIZE
from nas.errors import ConfigError
from nas.networks.candidate import Candidate
from nas.study.evaluator import DeviceRefusedError, Needs, Subject
from nas.study.metric import Metric, least_trusted
from nas.study.objectives import WORST_RATIO
from nas.tflite.operations import Operations, of_graph

PSNR_REDS = "psnr-of-the-paper-on-reds"
"""The name of the definition of the paper's PSNR."""


@dataclass(frozen=True)
class ModelledQuality:
    """Models `psnr_db` on REDS: published, or by the curve that the paper's U-Nets lie on.

    `evaluators.published_quality` has the formula and its error. `macs_ratio` are the network's
    MACs over those of the paper's final network, balanced over levels. The published rows begin at
    0.45: below there is no PSNR, and a study should demand that much. Networks that have other axes
    than the paper's U-Net have one where `evaluators.replacements` has a measured difference, else
    they are a ConfigError. For 1280x720 only.
    """

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figures."""
        return ("psnr_db", "macs_ratio")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Look the PSNR up; raises ConfigError for networks of which the paper says nothing."""
        precision = subject.candidate.compression.precision
        replaced = replacements(subject.candidate.architecture)
        psnr = estimate(_operations(subject.candidate, subject.size), precision, replaced)
        figures = {}
        if psnr.macs_ratio is not None:
            figures["macs_ratio"] = Metric(psnr.macs_ratio, "computed")
        if psnr.macs_ratio is None or psnr.macs_ratio >= SEEN_FROM:
            figures["psnr_db"] = Metric(
                psnr.psnr_db, psnr.source, PSNR_REDS, psnr.interval_db, psnr.about
            )
        return figures

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "modelled-quality", "psnr": PSNR_REDS}


@dataclass(frozen=True)
class ModelledLatency:
    """Models `latency_ms[DEVICE]` and `accelerated_mac_share[DEVICE]` on the paper's phones.

    The figures are those of `Latency` for these devices, without a file: thousands of candidates a
    minute. `worst_latency_ratio` refers to the candidate `reference`. Only 1280x720, the size of
    the published cells, is modelled.
    """

    reference: Candidate
    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figures; raises ConfigError for other devices than the paper's phones."""
        for device in devices:
            if not device.startswith(PREFIX):
                raise ConfigError(
                    f"ModelledLatency knows the paper's phones ({PREFIX}…), not {device}; use the "
                    "evaluator Latency in a study that measures"
                )
        names = ("latency_ms", "accelerated_mac_share")
        return (*(f"{name}[{device}]" for device in devices for name in names), WORST_RATIO)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Ask the model of every phone.

        Raises DeviceRefusedError, with the other phones' figures, where the network fails on one.
        """
        operations = _operations(subject.candidate, subject.size)
        known = _on_phones(subject.devices, operations)
        figures: dict[str, Metric] = {}
        for device, figure in known.items():
            figures |= _figures(device, figure, operations)
        for device, figure in known.items():
            if figure.latency_ms is None:
                reason = figure.failure.code if figure.failure else figure.about
                raise DeviceRefusedError(f"{device}: {reason}, {figure.about}", device, figures)
        figures[WORST_RATIO] = self._worst_ratio(subject, known)
        return figures

    def _worst_ratio(self, subject: Subject, candidate: dict[str, PaperFigure]) -> Metric:
        share = self.reference.compression.pruned_share
        network = expected_architecture(self.reference.architecture, share)
        operations = _operations(replace(self.reference, architecture=network), subject.size)
        reference = _on_phones(candidate, operations)
        ratios = {}
        for device, figure in candidate.items():
            unit = reference[device].latency_ms
            if figure.latency_ms is None or unit is None:
                raise ConfigError(f"the study's reference does not run on {device}")
            ratios[device] = figure.latency_ms / unit
        worst = max(ratios, key=ratios.__getitem__)
        at = f"worst on {worst}; the reference takes {reference[worst].latency_ms:.4g} ms there"
        figures = (*candidate.values(), *reference.values())
        source = least_trusted(figure.source for figure in figures)
        how = "largest-ratio-to-reference-over-devices"
        return Metric(ratios[worst], source, how, conditions=at)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "modelled-latency", "reference": self.reference.to_dict()}


def _on_phones(devices: Iterable[str], operations: Operations) -> dict[str, PaperFigure]:
    return {device: tell(device.removeprefix(PREFIX), operations) for device in devices}


def _operations(candidate: Candidate, size: tuple[int, int]) -> Operations:
    if size != SIZE:
        raise ConfigError(
            f"the paper's figures are for {SIZE[0]}x{SIZE[1]}, but the study's size is "
            f"{size[0]}x{size[1]}"
        )
    return of_graph(candidate.architecture.graph(), size, candidate.compression.precision)


def _figures(device: str, paper: PaperFigure, operations: Operations) -> dict[str, Metric]:
    if paper.latency_ms is None:
        return {}
    at = paper.about + (f"; {paper.caution}" if paper.caution else "")
    latency = Metric(paper.latency_ms, paper.source, None, paper.interval_ms, at)
    figures = {f"latency_ms[{device}]": latency}
    share = accelerated_mac_share(operations, paper.plan)
    if share is not None:
        figures[f"accelerated_mac_share[{device}]"] = Metric(
            share, "modelled", conditions="by the footnotes' rules"
        )
    return figures
