"""Which failure a run ended in, by its messages, its exit code and the processes beside it."""

from __future__ import annotations

import pytest

from nas.devices.adb.wire import ShellResult
from nas.devices.logs import parse_log
from nas.devices.phone.launch import merged
from tests.helpers.log_texts import LINE, LOGS, REFUSED, refused_with, report


@pytest.mark.parametrize(
    ("name", "failure", "code", "phase"),
    [
        ("01", "partially_delegated", None, None),
        ("05", "not_delegated", None, None),
        ("08", "nnapi_error", "ANEURALNETWORKS_OP_FAILED", "completing NNAPI compilation"),
        ("11", "driver_crash", "ANEURALNETWORKS_OP_FAILED", "running computation"),
        ("12", "partially_delegated", None, None),
        ("23", "delegate_refused", None, None),
        ("26", "bad_input", None, None),
        ("30", "delegate_refused", None, None),
        ("32", "not_delegated", None, None),
    ],
)
def test_failure_classes(name: str, failure: str, code: str | None, phase: str | None) -> None:
    found = report(name).failure
    assert found is not None
    assert (found.failure_class, found.code, found.phase) == (failure, code, phase)


@pytest.mark.parametrize(
    "name", ["03", "04", "07", "09", "15", "16", "19", "20", "21", "24", "29", "33"]
)
def test_logs_without_a_failure(name: str) -> None:
    assert report(name).failure is None


@pytest.mark.parametrize(
    ("exit_code", "expected"),
    [(124, "timeout"), (137, "oom"), (134, "crash"), (139, "crash"), (1, "unparsable")],
)
def test_exit_codes(exit_code: int, expected: str) -> None:
    found = parse_log("STARTING!\n", exit_code=exit_code).failure
    assert found is not None
    assert found.failure_class == expected


def test_success_without_numbers_is_unparsable_and_shows_the_last_words() -> None:
    found = parse_log("STARTING!\nfoo\n\x00\x01 bar", exit_code=0).failure
    assert found is not None
    assert found.failure_class == "unparsable"
    assert "foo" in found.detail


def test_other_processes_crashes_are_not_ours() -> None:
    own = f"01-02 03:04:05.678    77    77 I ExecutionPlan: {LINE}\n"
    other = "01-02 03:04:05.700   500   500 F libc    : Fatal signal 6 (SIGABRT) in tid 500 (app)\n"
    assert parse_log(own + other).failure is None
    mine = other.replace("(app)", "(benchmark_model), pid 77")
    for text in (own + mine, own + other.replace("  500   500", "   77    77")):
        failure = parse_log(text).failure
        assert failure is not None
        assert failure.failure_class == "crash"
    kill = "01-02 03:04:05.700   600   600 I lmkd    : Kill 'benchmark_model' (77), uid 2000\n"
    failure = parse_log(own + kill).failure
    assert failure is not None
    assert failure.failure_class == "oom"
    assert parse_log(own + kill.replace("benchmark_model' (77)", "com.app' (9)")).failure is None


@pytest.mark.parametrize(
    "row",
    [
        "500   500 E WifiClient: request timed out after 5 s",
        "500   500 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 500 (com.app), pid 500",
        "500   500 E SQLite  : Cannot allocate memory",
        "500   500 E Installer: No space left on device",
        "500   500 E ServiceManager: service 'media.camera' died",
        "500   500 E JavaBinder: !!! FAILED BINDER TRANSACTION !!! DEAD_OBJECT",
    ],
)
def test_other_processes_troubles_leave_a_refusal_as_it_is(row: str) -> None:
    failure = refused_with(row).failure
    assert failure is not None
    assert (failure.failure_class, failure.detail) == ("nnapi_error", REFUSED)
    saved = parse_log(f"01-02 03:04:05.678    77    77 I ExecutionPlan: {LINE}\n" + stamped(row))
    assert saved.failure is None


def stamped(row: str) -> str:
    return f"01-02 03:04:05.700   {row}\n"


@pytest.mark.parametrize(
    "rows",
    [
        ["928  1099 E QnnDsp  :  <E> CDSP crashed"],
        ["413   413 E hwservicemanager: service android.hardware.neuralnetworks@1.2::x died"],
        [
            "928  1099 E HtpError: void qti::nnhal::htp::execute()",
            "928  1099 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 1099 (HwBinder:928_1)",
        ],
    ],
)
def test_a_drivers_death_makes_of_a_refusal_a_drivers_crash(rows: list[str]) -> None:
    failure = refused_with(*rows).failure
    assert failure is not None
    assert failure.failure_class == "driver_crash"
    assert failure.transient
    assert failure.phase == "running computation"


def test_a_drivers_death_in_a_real_log() -> None:
    text = (LOGS / "11_logcat_runtime_op_failed_cdsp_crash.txt").read_text()
    failure = merged(ShellResult("tool", 1, "", "", REFUSED, 1.0, 29423), text).failure
    assert failure is not None
    assert (failure.failure_class, failure.detail) == ("driver_crash", "QnnDsp: <E> CDSP crashed")
