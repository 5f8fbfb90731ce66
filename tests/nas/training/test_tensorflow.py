import os
import subprocess
import sys
from types import SimpleNamespace

from nas.training.tensorflow import limit_tensorflow_threads


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env={**environment, **variables},
    )


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
        "import sys, nas.training.tensorflow, os\n"
        "print('tensorflow' in sys.modules, 'numpy' in sys.modules)\n"
        "sys.modules['tensorflow'] = None\n"
        "try:\n"
        "    nas.training.tensorflow.quiet_tensorflow()\n"
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
