"""A real artifact for evaluators: an untrained network, converted."""

from pathlib import Path

import pytest

from nas.data import Dataset, open_dataset
from nas.networks.candidate import Candidate
from nas.study.evaluator import Subject
from search_spaces import UNet

NETWORK = UNet("resize-bilinear", "prelu", (4, 8), 1, 3, False)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "model.tflite"
    path.write_bytes(_converted(256, 320))
    return path


def _converted(height: int, width: int) -> bytes:
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule

    schedule = Schedule(steps=1, identity_start=True)
    return convert_untrained(NETWORK.graph(), height, width, "float", schedule)


def _subject(artifact: Path | None, cache: Path, dataset: Dataset | None = None) -> Subject:
    dataset = dataset or open_dataset("photos")
    return Subject(Candidate(NETWORK), (320, 256), artifact, dataset, ("host",), cache)
