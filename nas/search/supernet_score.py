"""A supernet's score as an evaluator. TensorFlow is imported when the first candidate is scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from nas.compression.pruned_network import PrunedNetwork
from nas.data import Dataset
from nas.data.image_quality import PSNR_ID
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.system.host_lock import working
from nas.training.supernet.elastic import Elastic
from nas.training.supernet.spec import supernet_of

if TYPE_CHECKING:
    from nas.training.supernet.score import Scorer

SCORE = "supernet_psnr_db"
_scorers: dict[tuple[str, str, str], tuple[Elastic, Scorer, int]] = {}  # one a process


@final
@dataclass(frozen=True)
class SupernetScore:
    """`supernet_psnr_db`: how well a slice of a supernet's weights restores held-out crops.

    Modelled: it ranks candidates, and is no quality of any model. It is the float network's, not
    pruned: precision and pruned share change nothing.
    """

    folder: Path
    key: str
    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Return the figure's name."""
        return (SCORE,)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Score the candidate's network; ConfigError where the supernet does not hold it."""
        architecture = subject.candidate.architecture
        if isinstance(architecture, PrunedNetwork):
            architecture = architecture.base
        elastic, scorer, crops = self._scorer(subject.dataset)
        with working():
            value = scorer.psnr_db(elastic.encode(architecture.to_dict()))
        on = f"a slice of supernet {self.key}, {crops} crops of {subject.dataset.split}"
        return {SCORE: Metric(value, "modelled", PSNR_ID, conditions=on)}

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "supernet", "key": self.key}

    def _scorer(self, dataset: Dataset) -> tuple[Elastic, Scorer, int]:
        known = (str(self.folder), self.key, dataset.spec)
        if known not in _scorers:
            spec = supernet_of(self.folder)["spec"]
            elastic = Elastic.of(spec["space"])

            from nas.training.tensorflow import prepare_tensorflow

            prepare_tensorflow(spec["schedule"]["threads"])
            from nas.training.supernet.score import Scorer, heldout_crops
            from nas.training.supernet.train import load_supernet

            crops = heldout_crops(dataset.heldout(), elastic.reduction)
            scorer = Scorer(load_supernet(self.folder, elastic), crops)
            _scorers[known] = elastic, scorer, len(crops.picture)
        return _scorers[known]
