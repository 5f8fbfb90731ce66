"""The staged study with evaluators that cost nothing, for tests: no training, no conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

from nas.paper import PaperScale
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from studies.paper import SMOKE


@final
@dataclass(frozen=True)
class Told:
    """PSNR by the architecture's label, as `psnr_db` says; latency by its MACs."""

    psnr_db: Mapping[str, float] = field(default_factory=dict)
    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db", "ssim", "gmacs_profiler", *(f"latency_ms[{d}]" for d in devices))

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        network = subject.candidate.architecture
        macs = network.graph().macs(*subject.size[::-1])
        psnr = self.psnr_db.get(network.label, 20 + macs.conv % 97 / 10)
        return {
            "psnr_db": Metric(psnr, "synthetic"),
            "ssim": Metric(0.5, "synthetic"),
            "gmacs_profiler": Metric(macs.profiler / 1e9, "computed"),
            "latency_ms[host]": Metric(macs.conv / 1e6, "synthetic"),
        }

    def to_dict(self) -> dict[str, Any]:
        return {"name": "told", **self.psnr_db}


def small_scale(psnr_db: Mapping[str, float] | None = None) -> PaperScale:
    """The smoke scale; `psnr_db` by label says which network is how sharp."""
    return replace(SMOKE, study=replace(SMOKE.study, evaluators=(Told(psnr_db or {}),)))
