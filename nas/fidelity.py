"""What a device's outputs are compared with: the Keras model, or a file on this machine."""

from __future__ import annotations

from pathlib import Path

from nas import tflite
from nas.candidate import Precision
from nas.devices.fidelity import Reference, picture_size
from nas.errors import ConfigError, RunError
from nas.graph import Graph
from nas.runtime import Artifact, Float32, one_line


def keras_reference(graph: Graph, weights: Path, precision: Precision) -> Reference:
    """The network in Keras, float32, on this machine.

    A network that was trained for int8 computes as its training did, with fake quantization; all
    other integer files are compared with the float network that they were made of. Imports
    TensorFlow. Raises RunError where the weights are not this network's.
    """
    from nas.quietlogs import prepare_tensorflow, quiet_native_logs

    prepare_tensorflow(threads=1)
    from nas.fold import folded
    from nas.model import build_model
    from nas.quantize import with_trained_ranges
    from nas.train import trained

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
    return Reference(f"the Keras model, {kind}", run)


def file_reference(path: Path, artifact: Path, threads: int = 1) -> Reference:
    """A `.tflite` as LiteRT runs it on this machine; may be the artifact itself.

    Raises ConfigError where its pictures have another size than the artifact's.
    """
    theirs, ours = tflite.read(path), tflite.read(artifact)
    if picture_size(theirs, path) != picture_size(ours, artifact):
        raise ConfigError(
            f"{path} is for pictures of {theirs.inputs[0].shape[1:3]} (height, width), {artifact} "
            f"for {ours.inputs[0].shape[1:3]}; give a reference of the same size"
        )
    name = "the same file" if path == artifact else path.name
    return Reference(
        f"{name} ({theirs.inputs[0].dtype}) by LiteRT on this machine", Artifact(path, threads).run
    )
