"""The expected outputs with which a device's are compared: those of the Keras model."""

from __future__ import annotations

from pathlib import Path

from nas.errors import RunError, one_line
from nas.networks.candidate import Precision
from nas.networks.graph import Graph
from nas.tflite.expected_output import ExpectedOutput
from nas.tflite.interpreter import Float32


def keras_reference(graph: Graph, weights: Path, precision: Precision) -> ExpectedOutput:
    """Return the network in Keras, float32, on this machine.

    A network that was trained for int8 computes as in its training, with fake quantization; all
    other integer files are compared with the float network that they were made from. Imports
    TensorFlow. Raises RunError where the weights are not this network's.
    """
    from nas.system.native_logs import quiet_native_logs
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(threads=1)
    from nas.compression.quantization import with_trained_ranges
    from nas.networks.folding import folded
    from nas.networks.keras_model import build_model
    from nas.training.train import trained

    try:
        with quiet_native_logs():
            if precision == "int8-qat":
                model = with_trained_ranges(build_model(folded(graph)), graph.smallest, weights)
            else:
                model = trained(graph, weights)
    except (OSError, ValueError) as error:
        raise RunError(f"{weights} does not fit its card: {one_line(error)}") from error

    def run(frame: Float32) -> Float32:
        output: Float32 = model(frame[None], training=False).numpy()[0]
        return output

    kind = "with fake quantization" if precision == "int8-qat" else "float32"
    return ExpectedOutput(f"the Keras model, {kind}", run)
