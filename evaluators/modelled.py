"""What the paper's published cells say of a candidate: nothing is trained, nothing is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from evaluators.published_quality import SEEN_FROM, estimate
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


@dataclass(frozen=True)
class ModelledQuality:
    """`psnr_db` on REDS as the paper published it, or by the curve that its U-Nets lie on.

    See `evaluators.published_quality` for the formula and its error. `macs_ratio` are the network's
    MACs over those of the paper's final network, balanced over levels. The published rows begin at
    0.45: below there is no PSNR, and a study should demand that much. For 1280x720 only.
    """

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The figures' names."""
        return ("psnr_db", "macs_ratio")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Look it up; ConfigError for networks of which the paper says nothing."""
        precision = subject.candidate.compression.precision
        found = estimate(_operations(subject.candidate, subject.size), precision)
        figures = {}
        if found.macs_ratio is not None:
            figures["macs_ratio"] = Metric(found.macs_ratio, "computed")
        if found.macs_ratio is None or found.macs_ratio >= SEEN_FROM:
            figures["psnr_db"] = Metric(
                found.psnr_db, found.source, PSNR_REDS, found.interval_db, found.about
            )
        return figures

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types."""
        return {"name": "modelled-quality", "psnr": PSNR_REDS}


@dataclass(frozen=True)
class ModelledLatency:
    """`latency_ms[DEVICE]` on the paper's phones, straight from the layers, and
    `accelerated_mac_share[DEVICE]`.

    The same figures as `Latency` gives for these devices, without a file: thousands of candidates a
    minute. `reference` is what `worst_latency_ratio` refers to. For 1280x720, where the cells are.
    """

    reference: Candidate
    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The figures' names; ConfigError for a device that is not one of the paper's phones."""
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
        told = {device: tell(_phone(device), operations) for device in subject.devices}
        figures: dict[str, Metric] = {}
        for device, said in told.items():
            figures |= _figures(device, said, operations)
        for device, said in told.items():
            if said.latency_ms is None:
                reason = said.failure.code if said.failure else said.about
                raise DeviceRefusedError(f"{device}: {reason}, {said.about}", device, figures)
        figures[WORST_RATIO] = self._worst_ratio(subject, told)
        return figures

    def _worst_ratio(self, subject: Subject, told: dict[str, PaperFigure]) -> Metric:
        share = self.reference.compression.pruned_share
        network = expected_architecture(self.reference.architecture, share)
        operations = _operations(replace(self.reference, architecture=network), subject.size)
        references = {device: tell(_phone(device), operations) for device in told}
        ratios = {}
        for device, said in told.items():
            reference = references[device].latency_ms
            if said.latency_ms is None or reference is None:
                raise ConfigError(f"the study's reference does not run on {device}")
            ratios[device] = said.latency_ms / reference
        worst = max(ratios, key=ratios.__getitem__)
        at = f"worst on {worst}; the reference takes {references[worst].latency_ms:.4g} ms there"
        source = least_trusted(one.source for one in (*told.values(), *references.values()))
        how = "largest-ratio-to-reference-over-devices"
        return Metric(ratios[worst], source, how, conditions=at)

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types."""
        return {"name": "modelled-latency", "reference": self.reference.to_dict()}


def _phone(device: str) -> str:
    return device.removeprefix(PREFIX)


def _operations(candidate: Candidate, size: tuple[int, int]) -> Operations:
    if size != SIZE:
        raise ConfigError(
            f"the paper's figures are for {SIZE[0]}x{SIZE[1]}, but the study's size is "
            f"{size[0]}x{size[1]}"
        )
    return of_graph(candidate.architecture.graph(), size, candidate.compression.precision)


def _figures(device: str, said: PaperFigure, operations: Operations) -> dict[str, Metric]:
    if said.latency_ms is None:
        return {}
    at = said.about + (f"; {said.caution}" if said.caution else "")
    latency = Metric(said.latency_ms, said.source, None, said.interval_ms, at)
    figures = {f"latency_ms[{device}]": latency}
    share = accelerated_mac_share(operations, said.plan)
    if share is not None:
        figures[f"accelerated_mac_share[{device}]"] = Metric(
            share, "modelled", conditions="by the footnotes' rules"
        )
    return figures
