"""Compile a `.tflite` file for a chip: simulated latency, memory traffic, size of the context.

Nothing runs. What comes out depends on the file's structure, the chip and the versions of the
compiler alone, so it is done once for each and kept in the user's cache.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from filelock import FileLock

from nas.devices.failures import Evidence
from nas.devices.limited_process import OUT_OF_MEMORY, Limits, run
from nas.devices.npu import compile_worker, requirements
from nas.devices.npu.failures import (
    NpuError,
    NpuTransientError,
    ended_error,
    memory_error,
    npu_error,
)
from nas.devices.npu.profile import Estimate, Traffic, estimate_in, traffic_in
from nas.errors import ConversionError, RunError
from nas.system.cache import cache_folder
from nas.system.files import cannot_write, read_json, write_json
from nas.system.hashing import content_key
from nas.tflite.file import structure_key

FORM = 1
"""Counted up whenever the same file gives another compilation with the same versions."""


@final
@dataclass(frozen=True)
class Compilation:
    """A file, compiled for a chip.

    `estimate` is None where the vendor's simulator does not know the chip. `context_mb` is the
    size of what would be loaded on the phone; `seconds` and `peak_memory_mb` are the compiler's.
    MB of 10^6 bytes.
    """

    estimate: Estimate | None
    traffic: Traffic
    context_mb: float
    seconds: float
    peak_memory_mb: float | None

    def to_dict(self) -> dict[str, Any]:
        """The compilation as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Compilation:
        """The compilation that `to_dict` wrote; KeyError or TypeError on anything else."""
        estimate = values["estimate"]
        return cls(
            **{
                **values,
                "estimate": None if estimate is None else Estimate(**estimate),
                "traffic": Traffic(**values["traffic"]),
            }
        )


def compiled(artifact: Path, chip: int, device: str, limits: Limits) -> Compilation:
    """The compilation of a file for the chip of that number, from the cache where it is kept.

    `device` is what errors name. Raises ConfigError where the file is no `.tflite` of a fixed size,
    NpuError where the compiler refuses it, dies or needs too much, NpuTransientError where the
    machine was too busy, RunError where the cache can't be written.
    """
    structure = structure_key(artifact)
    key = content_key([FORM, structure, chip, requirements.versions()])
    path = cache_folder() / "npu" / f"{key}.json"
    with _held(path):  # one compiles, the others read
        kept = _kept(path)
        if kept is None:
            kept = _compile(artifact, chip, device, limits)
            write_json(path, kept.to_dict())
    return kept


@contextmanager
def _held(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _kept(path: Path) -> Compilation | None:
    try:
        return Compilation.from_dict(read_json(path))
    except (RunError, KeyError, TypeError, AttributeError):
        return None  # missing or damaged: compiled again, which costs seconds


def _compile(artifact: Path, chip: int, device: str, limits: Limits) -> Compilation:
    from nas.devices.npu.onnx_translation import translated

    with tempfile.TemporaryDirectory(prefix="nas-npu-") as name:
        folder = Path(name)
        model = folder / "model.onnx"
        try:
            model.write_bytes(translated(artifact.read_bytes(), str(artifact)))
        except ConversionError as error:
            raise npu_error(device, "not_simulated", str(error)) from error
        script = (sys.executable, "-P", compile_worker.__file__)
        ended = run([*script, model, str(chip), folder], folder, limits, {})
        try:
            answer = read_json(folder / compile_worker.ANSWER)
        except RunError as error:
            raise ended_error(device, "compilation", ended, limits) from error
        evidence = Evidence(device, "compilation", ended.code, stdout=ended.text[-20_000:])
        if answer["error"] is not None:
            if any(word in answer["error"] for word in OUT_OF_MEMORY):
                raise memory_error(device, "compilation", limits, evidence)
            raise refused(device, answer["error"], ended.text, evidence)
        try:
            estimate = estimate_in((folder / compile_worker.PROFILE).read_text())
            traffic = traffic_in(ended.text)
        except (OSError, ValueError) as error:
            raise npu_error(device, "unparsable", str(error), evidence) from error
    return Compilation(
        estimate, traffic, answer["context_bytes"] / 1e6, ended.seconds, answer["peak_memory_mb"]
    )


def refused(device: str, error: str, log: str, evidence: Evidence) -> NpuError | NpuTransientError:
    """What the provider's exception means.

    Its own front end may refuse what LiteRT's takes: then nothing is wrong with the network, but
    it can't be simulated.
    """
    said = re.sub(r"\x1b?\[[0-9;]*m", "", f"{log}\n{error}")
    refused = re.findall(r"Unsupported nodes in QNN EP:((?: *\{[^}]*\},?)+)", said)
    if refused:
        nodes = re.findall(r"name: \w+_op(\d+)\w*, type: (\w+)", refused[-1])
        names = ", ".join(f"{kind} of operation {index}" for index, kind in nodes[:5])
        return npu_error(device, "not_simulated", f"ONNX Runtime does not take {names}", evidence)
    complaint = next(iter(re.findall(r"(?:<E>|\[E:[^\]]*\]) *(.+)", said)[::-1]), "")
    reason = f"{error[:300]} ({complaint[:200]})" if complaint else error[:300]
    return npu_error(device, "compiler_refused", reason, evidence)
