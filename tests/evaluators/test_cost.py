"""Costs are those of the graph and of the file."""

from pathlib import Path

from evaluators import Cost, FileSize
from nas.data import Dataset, open_dataset
from nas.networks.candidate import Candidate
from nas.study.evaluator import Subject
from search_spaces import UNet

NETWORK = UNet("resize-bilinear", "prelu", (4, 8), 1, 3, False)


def _converted(height: int, width: int) -> bytes:
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule

    schedule = Schedule(steps=1, identity_start=True)
    return convert_untrained(NETWORK.graph(), height, width, "float", schedule)


def _subject(artifact: Path | None, cache: Path, dataset: Dataset | None = None) -> Subject:
    dataset = dataset or open_dataset("photos")
    return Subject(Candidate(NETWORK), (320, 256), artifact, dataset, ("host",), cache)


def test_cost_is_the_graphs(tmp_path: Path) -> None:
    figures = Cost().evaluate(_subject(None, tmp_path))
    assert figures["gmacs_conv"].value == NETWORK.graph().macs(256, 320).conv / 1e9
    assert figures["gmacs_profiler"].definition == "profiler"
    assert figures["parameters"].value == NETWORK.graph().parameters()
    assert set(figures) == set(Cost().metrics(("host",)))


def test_size_is_the_files(artifact: Path, tmp_path: Path) -> None:
    figures = FileSize().evaluate(_subject(artifact, tmp_path))
    assert figures["bytes"].value == len(artifact.read_bytes())
