import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from nas.system.native_logs import quiet_native_logs
from nas.training.tensorflow import limit_tensorflow_threads

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


def test_importing_tensorflow_says_nothing_and_keeps_settings():
    code = (
        "import os\n"
        "from nas.training.tensorflow import limit_tensorflow_threads, prepare_tensorflow\n"
        "tf = prepare_tensorflow(1)\n"
        "print(float(tf.reduce_sum(tf.ones([4, 4]) @ tf.ones([4, 4]))))\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads())\n"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'], os.environ.get('TF_ENABLE_ONEDNN_OPTS'))\n"
        "prepare_tensorflow(1)\n"
        "try:\n"
        "    limit_tensorflow_threads(2)\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    ran = run(code)
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[:3] == ["64.0", "1", "2 None"]
    assert lines[3].startswith("expected to set 2 TensorFlow thread(s) before its first operation")


def test_a_users_settings_stay_and_importing_this_module_is_cheap():
    code = (
        "import sys, nas.quietlogs, os\n"
        "print('tensorflow' in sys.modules, 'numpy' in sys.modules)\n"
        "sys.modules['tensorflow'] = None\n"
        "try:\n"
        "    nas.quietlogs.quiet_tensorflow()\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
    )
    ran = run(code, TF_CPP_MIN_LOG_LEVEL="0")
    assert ran.stdout.splitlines() == ["False False", "ModuleNotFoundError 0"]


def test_threads_from_the_environment_count(monkeypatch):
    """Of a stand-in, because the true one takes seconds to import."""
    set_to = []
    threading_config = SimpleNamespace(
        get_intra_op_parallelism_threads=lambda: 0,
        set_intra_op_parallelism_threads=set_to.append,
    )
    stand_in = SimpleNamespace(config=SimpleNamespace(threading=threading_config))
    monkeypatch.setitem(sys.modules, "tensorflow", stand_in)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    limit_tensorflow_threads(1)
    assert set_to == []
    limit_tensorflow_threads(2)
    assert set_to == [2]
