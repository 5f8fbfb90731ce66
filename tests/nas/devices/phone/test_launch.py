"""What a single launch is worth."""

from __future__ import annotations

from nas.devices.logs import parse_log
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.launch import doubt

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_delegation_without_numbers_is_no_measurement() -> None:
    words = "Explicitly applied NNAPI delegate, and the model graph will be partially executed by "
    words += "the delegate w/ 1 delegate kernels.\nInitialized session in 5ms.\n"
    passing = frozenset({"partially_delegated"})
    for numbers in ("", "count=0\ncount=0\n", "count=1 curr=5\ncount=2 curr=0(all same)\n"):
        found = doubt(parse_log(words + numbers, 0), passing)
        assert found is not None
        assert found.failure_class == "unparsable"
    good = words + "count=1 curr=5\ncount=2 curr=7(all same)\n"
    assert doubt(parse_log(good, 0), passing) is None
    assert doubt(parse_log(good, 0), frozenset()) is not None
