"""Building and converting the paper's six networks at 1280x720: within 5 minutes and 6 GB.

    python -m benchmarks.six_networks [WIDTHxHEIGHT] [NAME...]

One process, float32, random weights, without the gate (which also runs each file). Tells for each
network the seconds to build and to convert, the file's MACs against the formula's, and at the end
the peak of the process's resident memory. `--profiler` as a name counts each Keras model by
TensorFlow's profiler, too, after the rest: that takes longer than the rest.
"""

from __future__ import annotations

import resource
import sys
import time

from benchmarks.verdict import undisturbed
from nas.system.environment import processor, versions
from nas.system.native_logs import quiet_native_logs
from nas.training.tensorflow import prepare_tensorflow

SIX = ("unet-resizebilinear-relu", "edsr", "rdn", "dbpn", "fpn", "sgn")


def main(size: str = "1280x720", *names: str) -> None:
    prepare_tensorflow(threads=1)
    from nas.compression.calibration import fill_biases
    from nas.compression.convert import convert
    from nas.networks.keras_model import build_model
    from nas.tflite.file import parse_tflite
    from search_spaces import ARCHITECTURES

    width, height = map(int, size.split("x"))
    profiler, started = "--profiler" in names, time.perf_counter()
    wanted = [name for name in names if name != "--profiler"] or SIX
    for name in wanted:
        graph = ARCHITECTURES[name].graph()
        begun = time.perf_counter()
        model = build_model(graph)
        fill_biases(model)
        built = time.perf_counter()
        content = convert(model, height, width, "float")
        converted = time.perf_counter()
        macs, found = graph.macs(height, width), parse_tflite(content, name).conv_macs
        counted = f", profiler {profiled(model, height, width) / 1e9:.2f}" if profiler else ""
        print(
            f"{name:26} built {built - begun:5.1f} s, converted {converted - built:5.1f} s, "
            f"{len(content) / 1e6:6.1f} MB, conv {found / 1e9:.2f} GMAC in the file, "
            f"{macs.conv / 1e9:.2f} by formula, "
            f"{macs.profiler / 1e9:.2f} as the profiler's{counted}",
            flush=True,
        )
        del model, content
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(wanted)} networks at {size}: {time.perf_counter() - started:.0f} s (goal: 300), "
        f"peak {peak:.2f} GB (goal: 6); {processor()}; {versions()}"
    )


def profiled(model, height: int, width: int) -> float:
    """Half of the FLOPs that TensorFlow's profiler counts."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec([1, height, width, 3]))
    _, frozen = convert_to_constants.convert_variables_to_constants_v2_as_graph(concrete)
    tools = tf.compat.v1.profiler
    with quiet_native_logs(), tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(frozen, name="")
        options = tools.ProfileOptionBuilder(tools.ProfileOptionBuilder.float_operation())
        counted = tools.profile(imported, cmd="op", options=options.with_empty_output().build())
    return counted.total_float_ops / 2


if __name__ == "__main__":
    with undisturbed("benchmarks.six_networks"):
        main(*sys.argv[1:])
