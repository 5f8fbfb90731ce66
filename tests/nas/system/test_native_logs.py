import os
import subprocess
import sys
import threading

import pytest

from nas.system.native_logs import quiet_native_logs

NOISE = b"I0000 00:00:17.1 4891 port.cc:153] oneDNN custom operations are on. You may see\n"
XNNPACK = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env={**environment, **variables},
    )


def test_noise_is_dropped_and_everything_else_is_kept_in_order(capfd):
    os.write(2, b"before\n")
    with quiet_native_logs():
        os.write(2, NOISE + b"ERROR: out of memory\n" + XNNPACK + b"half a line")
    os.write(2, b", after\n")
    assert capfd.readouterr().err == "before\nERROR: out of memory\nhalf a line, after\n"


def say_and_raise(words: bytes, error: BaseException) -> None:
    with quiet_native_logs():
        os.write(2, words)
        raise error


def test_an_exception_passes_and_brings_back_every_word(capfd):
    with pytest.raises(ValueError, match="mine"):
        say_and_raise(NOISE, ValueError("mine"))
    assert capfd.readouterr().err == NOISE.decode()
    with quiet_native_logs():  # and the next one is quiet again
        os.write(2, NOISE)
    assert capfd.readouterr().err == ""


def test_ctrl_c_passes_without_the_noise(capfd):
    with pytest.raises(KeyboardInterrupt):
        say_and_raise(NOISE + b"told\n", KeyboardInterrupt())
    assert capfd.readouterr().err == "told\n"


def test_nested(capfd):
    with quiet_native_logs():
        with quiet_native_logs():
            os.write(2, NOISE)
        os.write(2, XNNPACK + b"inside\n")
    os.write(2, b"outside\n")
    assert capfd.readouterr().err == "inside\noutside\n"


def test_threads_share_one_redirection(capfd):
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(20):
            with quiet_native_logs():
                os.write(2, XNNPACK + b"from %d\n" % number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"end\n")
    lines = capfd.readouterr().err.splitlines()
    assert lines[-1] == "end"
    assert sorted(lines[:-1]) == sorted(f"from {number}" for number in range(8) for _ in range(20))


def test_no_descriptor_is_left_open():
    with quiet_native_logs():
        pass  # the first one keeps a descriptor of the true standard error for good
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with quiet_native_logs():
            os.write(2, NOISE)
    assert len(os.listdir("/proc/self/fd")) == before


def test_pythons_own_stream_goes_on_meanwhile():
    code = (
        "import os, sys, logging\n"
        "from nas.system.native_logs import quiet_native_logs\n"
        "with quiet_native_logs():\n"
        "    print('progress', file=sys.stderr)\n"
        "    handler = logging.StreamHandler()\n"  # keeps the stream of this moment
        "    os.write(2, b'native\\n')\n"
        "logging.getLogger().addHandler(handler)\n"
        "logging.error('later')\n"
        "with quiet_native_logs():\n"
        "    logging.error('within')\n"
        "    os.write(2, b'native again\\n')\n"
        "print('end', file=sys.stderr)\n"
    )
    ran = run(code)
    assert ran.returncode == 0
    assert ran.stderr.splitlines() == [
        "progress", "native", "later", "within", "native again", "end",
    ]  # fmt: skip


def test_without_standard_error():
    code = (
        "import os; os.close(2)\n"
        "from nas.system.native_logs import quiet_native_logs\n"
        "with quiet_native_logs(): print(1)"
    )
    ran = run(code)
    assert (ran.returncode, ran.stdout) == (0, "1\n")
