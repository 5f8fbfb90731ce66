"""One compilation for one chip: ONNX_FILE CHIP_NUMBER FOLDER [PICTURES].

Started by `nas.devices.npu.compilation` as a script, so that it imports no more than it needs. It
leaves in FOLDER: `profile.csv` with the simulator's estimate, `context.bin` in whatever name the
provider gives it, and `answer.json`. What the compiler logs goes to standard error.

With PICTURES (`nas.devices.npu.outputs`) it leaves no estimate, but computes: for each N below it
reads `FOLDER/input-N.npy` and writes `FOLDER/output-N.npy`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PROFILE = "profile.csv"
ANSWER = "answer.json"
CONTEXT = "context.onnx"
_SESSION = {
    # Without it a QUANTIZE behind a resizing vanishes, and the resizing is done in float.
    "session.disable_double_qdq_remover": "1",
    # Without it a missing library or a refused operation makes a session of the CPU, silently.
    "session.disable_cpu_ep_fallback": "1",
}


def main() -> None:
    """Compile, and tell what became of it."""
    onnx_file, chip, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    pictures = int(sys.argv[4]) if len(sys.argv) > 4 else None
    try:
        if pictures is None:
            _compile(onnx_file, chip, folder)
        else:
            _compute(onnx_file, chip, folder, pictures)
        answer: dict[str, Any] = {"error": None, "context_bytes": _context_bytes(folder)}
    except Exception as error:  # whatever the provider raises is an answer, not a crash
        answer = {"error": f"{type(error).__name__}: {error}", "context_bytes": None}
    answer["peak_memory_mb"] = _peak_memory_mb()
    (folder / ANSWER).write_text(json.dumps(answer))


def _compile(onnx_file: Path, chip: str, folder: Path) -> None:
    entries = {
        "ep.context_enable": "1",
        "ep.context_embed_mode": "0",
        "ep.context_file_path": str(folder / CONTEXT),
    }
    profile = {"profiling_level": "detailed", "profiling_file_path": str(folder / PROFILE)}
    # The log has the traffic of chips without a simulator.
    _session(onnx_file, chip, entries, profile, severity=0)


def _compute(onnx_file: Path, chip: str, folder: Path, pictures: int) -> None:
    import numpy as np

    session = _session(onnx_file, chip, {}, {}, severity=3)
    name = session.get_inputs()[0].name
    for number in range(pictures):
        values = session.run(None, {name: np.load(folder / f"input-{number}.npy")})[0]
        part = folder / "output.part"
        with part.open("wb") as file:
            np.save(file, values)
        part.replace(folder / f"output-{number}.npy")


def _session(
    onnx_file: Path,
    chip: str,
    entries: dict[str, str],
    provider_options: dict[str, str],
    severity: int,
) -> Any:
    import onnxruntime
    import onnxruntime_qnn

    # Set before the provider is there, and for the session, too: either alone does not reach the
    # compiler.
    onnxruntime.set_default_logger_severity(severity)
    name = onnxruntime_qnn.get_ep_name()
    onnxruntime.register_execution_provider_library(name, onnxruntime_qnn.get_library_path())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = severity
    for key, value in {**_SESSION, **entries}.items():
        options.add_session_config_entry(key, value)
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    provider = {
        "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
        "soc_model": chip,
        "htp_graph_finalization_optimization_mode": "3",  # as LiteRT
        "offload_graph_io_quantization": "0",  # the pictures' conversion belongs to the latency
        **provider_options,
    }
    options.add_provider_for_devices(devices[:1], provider)
    return onnxruntime.InferenceSession(str(onnx_file), options)


def _context_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.bin"))


def _peak_memory_mb() -> float | None:
    """The most memory of this process; `getrusage` would give its parent's where that is larger."""
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return None if peak is None else int(peak[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
