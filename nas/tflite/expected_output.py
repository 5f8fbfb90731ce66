"""The expected outputs with which a device's are compared: a file on this machine's interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.errors import ConfigError
from nas.tflite.file import TfliteFile, read_tflite
from nas.tflite.interpreter import Artifact, Float32
from nas.tflite.size import check_fixed


@dataclass(frozen=True)
class ExpectedOutput:
    """A network whose outputs are what a device's are compared with.

    `name` says in words what runs, and `run` takes and gives a picture (height, width, 3), 0 to 1.
    """

    name: str
    run: Callable[[Float32], Float32]


def picture_size(file: TfliteFile, artifact: Path) -> tuple[int, int]:
    """Return (height, width) of a network from one picture to one; ConfigError where it is none."""
    for what, tensors in (("input", file.inputs), ("output", file.outputs)):
        shapes = [tensor.shape for tensor in tensors]
        if len(shapes) != 1 or len(shapes[0]) != 4 or (shapes[0][0], shapes[0][3]) != (1, 3):
            raise ConfigError(
                f"{artifact}: expected one {what} of shape (1, height, width, 3), found {shapes}"
            )
        if tensors[0].dtype not in ("float32", "int8", "int16"):
            raise ConfigError(
                f"{artifact}: its {what} is {tensors[0].dtype}, not float32, int8 or int16"
            )
    if file.inputs[0].shape != file.outputs[0].shape:
        raise ConfigError(
            f"{artifact}: its output has another size than its input, {file.outputs[0].shape}"
        )
    return file.inputs[0].shape[1], file.inputs[0].shape[2]


def file_output(path: Path, artifact: Path, threads: int = 1) -> ExpectedOutput:
    """Return a `.tflite`, which may be the artifact itself, as LiteRT runs it on this machine.

    Raises ConfigError where its pictures have another size than the artifact's.
    """
    theirs, ours = read_tflite(path), read_tflite(artifact)
    check_fixed(theirs, path)
    if picture_size(theirs, path) != picture_size(ours, artifact):
        raise ConfigError(
            f"{path} is for pictures of {theirs.inputs[0].shape[1:3]} (height, width), {artifact} "
            f"for {ours.inputs[0].shape[1:3]}; give a reference of the same size"
        )
    name = "the same file" if path == artifact else path.name
    return ExpectedOutput(
        f"{name} ({theirs.inputs[0].dtype}) by LiteRT on this machine", Artifact(path, threads).run
    )
