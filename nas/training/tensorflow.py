"""Sets TensorFlow up: keeps its log quiet and limits its threads."""

from __future__ import annotations

import logging
import os
from typing import Any

from nas.system.native_logs import quiet_native_logs


def quiet_tensorflow() -> Any:
    """Import TensorFlow without its log lines and return the module.

    Call it instead of the first `import tensorflow` of a process. Runs no operation, so that a fork
    server may call it. Errors still appear; `TF_CPP_MIN_LOG_LEVEL` is kept where the user set it.
    oneDNN stays on: without it training takes twice as long.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_native_logs():
        import tensorflow as tf
    tf.get_logger().setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    return tf


def prepare_tensorflow(threads: int = 1) -> Any:
    """Make this process ready to train and convert: TensorFlow quiet, on `threads` threads.

    Looks for a GPU, so that the complaint about a missing one is made, and hidden, now. It is not
    for a fork server: a GPU that was looked for before a fork can't be used after it. Returns the
    module; raises as `limit_tensorflow_threads`.
    """
    tf = quiet_tensorflow()
    with quiet_native_logs():
        tf.config.list_physical_devices()
    limit_tensorflow_threads(threads)
    return tf


def limit_tensorflow_threads(threads: int = 1) -> None:
    """Let one operation of TensorFlow use `threads` threads; call it in a fresh process.

    Raises RuntimeError where TensorFlow has already run an operation with another number.
    """
    import tensorflow as tf

    variable = os.environ.get("TF_NUM_INTRAOP_THREADS", "")  # what counts where nobody set a number
    inherited = int(variable) if variable.isdigit() else 0
    if (tf.config.threading.get_intra_op_parallelism_threads() or inherited) == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise RuntimeError(
            f"expected to set {threads} TensorFlow thread(s) before its first operation, but one "
            "has already run in this process; call prepare_tensorflow first of all"
        ) from error
