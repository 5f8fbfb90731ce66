"""Latencies kept in a file, and the comparison of new ones with them: did a model get slower?

A model is slower where its whole interval lies above the kept one, and its latency is higher by
more than a tolerance. Launches of one session agree better than sessions do, so intervals alone
would accuse a machine that has merely warmed up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nas.devices.measurement import Measurement, TimingProtocol
from nas.errors import ConfigError, NasError
from nas.system.files import read_json, write_json

FORMAT = 1
Verdict = Literal["same", "slower", "faster", "new"]


@dataclass(frozen=True)
class KeptLatency:
    """A model's latency as a file keeps it; `sha256` is the model's."""

    sha256: str
    latency_ms: float
    interval_ms: tuple[float, float]
    source: str

    @classmethod
    def of(cls, measurement: Measurement, sha256: str) -> KeptLatency:
        """Keep what a measurement found."""
        return cls(sha256, measurement.latency_ms, measurement.interval_ms, measurement.source)


@dataclass(frozen=True)
class SpeedBaseline:
    """The latencies of models, by name, on one device and by one protocol."""

    device: str
    protocol: TimingProtocol
    models: Mapping[str, KeptLatency]

    @classmethod
    def read(cls, path: Path) -> SpeedBaseline:
        """Read what `write` wrote; ConfigError on anything else."""
        try:
            values = read_json(path)
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']!r}, not {FORMAT}")
            models = {
                str(name): KeptLatency(**{**kept, "interval_ms": tuple(kept["interval_ms"])})
                for name, kept in values["models"].items()
            }
            return cls(str(values["device"]), TimingProtocol(**values["protocol"]), models)
        except (NasError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"{path} is no baseline of `nas check` ({error}); write one with --write"
            ) from error

    def write(self, path: Path) -> None:
        """Write the baseline as JSON, as a whole."""
        models = {name: asdict(kept) for name, kept in sorted(self.models.items())}
        document = {"format": FORMAT, "device": self.device, "protocol": self.protocol.to_dict()}
        write_json(path, {**document, "models": models})


def verdict(now: KeptLatency, kept: KeptLatency | None, tolerance: float) -> Verdict:
    """Compare a latency with the kept one; `tolerance` is a share, such as 0.05.

    "new" where none is kept. "slower" and "faster" need intervals that lie apart, and a difference
    of more than the tolerance.
    """
    if kept is None:
        return "new"
    if now.interval_ms[0] > kept.interval_ms[1] and now.latency_ms > kept.latency_ms * (
        1 + tolerance
    ):
        return "slower"
    if now.interval_ms[1] < kept.interval_ms[0] and now.latency_ms < kept.latency_ms / (
        1 + tolerance
    ):
        return "faster"
    return "same"


def models_in(paths: list[Path]) -> dict[str, Path]:
    """Return `.tflite` files by name: those given, and those of the exports given as folders.

    A file of an exported model is called as its folder is, any other as itself. Raises ConfigError
    where a path is neither, a folder has no model, and where two files have one name.
    """
    found: dict[str, Path] = {}
    for given in paths:
        files = sorted(given.rglob("*.tflite")) if given.is_dir() else [given]
        if not files:
            raise ConfigError(
                f"{given} holds no .tflite file; give one, or a folder of `nas export`"
            )
        for file in files:
            if not file.is_file():
                raise ConfigError(f"{file} is no file; give a .tflite file or a folder of them")
            name = file.parent.name if file.name == "model.tflite" and given.is_dir() else file.name
            if found.get(name, file) != file:
                raise ConfigError(
                    f"{found[name]} and {file} have one name, {name}: check each alone"
                )
            found[name] = file
    return found


def as_document(
    name: str, now: KeptLatency, kept: KeptLatency | None, tolerance: float, disturbed: str | None
) -> dict[str, Any]:
    """Return a comparison as JSON types, with its sentence."""
    outcome = verdict(now, kept, tolerance)
    ratio = now.latency_ms / kept.latency_ms if kept else None
    return {
        "model": name,
        "sha256": now.sha256,
        "verdict": outcome,
        "same_file": kept.sha256 == now.sha256 if kept else None,
        "latency_ms": now.latency_ms,
        "interval_ms": list(now.interval_ms),
        "baseline_ms": kept.latency_ms if kept else None,
        "baseline_interval_ms": list(kept.interval_ms) if kept else None,
        "ratio": ratio,
        "source": now.source,
        "disturbed": disturbed,
        "said": _said(name, outcome, now, kept),
    }


def _said(name: str, outcome: Verdict, now: KeptLatency, kept: KeptLatency | None) -> str:
    if kept is None:
        return f"{name}: {now.latency_ms:.4g} ms, not in the baseline"
    change = 100 * (now.latency_ms / kept.latency_ms - 1)
    figures = f"{kept.latency_ms:.4g} to {now.latency_ms:.4g} ms, {change:+.0f} %"
    words = {"same": "no certain change", "slower": "slower", "faster": "faster", "new": ""}
    other = "" if kept.sha256 == now.sha256 else "; the file is another one"
    return f"{name}: {words[outcome]}, {figures}{other}"
