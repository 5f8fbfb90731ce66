"""Facts of a log as values."""

from __future__ import annotations

import pytest

from nas.devices.logs.benchmark_log import BenchmarkLog, ReplacedNodes, Statistics


@pytest.mark.parametrize(
    ("nodes", "total", "partitions", "coverage"),
    [
        (0, 9, None, "none"),
        (9, 9, 1, "complete"),
        (8, 9, 1, "partial"),
        (8, None, 1, "complete"),  # one partition without a total is the whole graph
        (8, None, 2, "partial"),
        (8, None, None, None),
    ],
)
def test_coverage(
    nodes: int, total: int | None, partitions: int | None, coverage: str | None
) -> None:
    assert ReplacedNodes("GPU", nodes, total, partitions).coverage == coverage


def test_the_second_block_is_the_timed_one() -> None:
    first, second = Statistics(1, mean_ms=9.0), Statistics(10, mean_ms=3.0)
    assert (BenchmarkLog().warmup, BenchmarkLog().timed) == (None, None)
    assert BenchmarkLog(blocks=[first]).timed is None
    log = BenchmarkLog(blocks=[first, second])
    assert (log.warmup, log.timed) == (first, second)
