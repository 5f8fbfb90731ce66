"""A process that makes untrained files of networks, one after another, until its pipe is closed.

    python -m nas.compression.untrained_worker DESCRIPTOR

It keeps TensorFlow out of the process that asks, such as one that writes a report.
"""

from __future__ import annotations

from functools import cache

from nas.networks.candidate import Precision
from nas.networks.graph import Graph
from nas.system.answering_process import answer_questions

Question = tuple[Graph, tuple[int, int], Precision]
"""The network's layers, the picture's width and height, the precision."""


@cache
def _prepare() -> None:
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(1)


def _file(question: Question) -> bytes:
    """Return the `.tflite`; its structure is that of the trained one, whatever the schedule."""
    _prepare()
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule

    graph, (width, height), precision = question
    schedule = Schedule(steps=1, identity_start=True)
    return convert_untrained(graph, height, width, precision, schedule)


if __name__ == "__main__":
    answer_questions(_file)
