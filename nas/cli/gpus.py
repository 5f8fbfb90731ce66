"""LiteRT's GPU on the command line: its row of `nas devices`, and `nas measure --device gpu`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.cli.console import emit_json, err, note, out
from nas.cli.modelled import blank_row
from nas.errors import NasError


def gpu_rows() -> list[dict[str, Any]]:
    """A row for each precision with a phone row's keys; `state` is "ready" or "missing"."""
    from nas.devices.gpu.device import SPECS, open_gpu

    rows = []
    for spec in SPECS:
        try:
            _, adapter = open_gpu(spec).check()
            name, complaint = adapter.name, ""
        except NasError as error:
            name, complaint = "", str(error)
        rows.append(
            {
                **blank_row(),
                "device": spec,
                "kind": "gpu",
                "state": "missing" if complaint else "ready",
                "model": "LiteRT's GPU",
                "chip": name or None,
                "accelerators": [name] if name else [],
                "source": "simulated",
                "fit": not complaint,
                "advice": complaint,
            }
        )
    return rows


def show_gpus(rows: list[dict[str, Any]]) -> None:
    """The device at each precision as a table, and what is missing, once."""
    from nas.cli.console import print_table, table

    columns = dict.fromkeys(("device", "state", "driver", "latency"), "left")
    cells = [[row["device"], row["state"], row["chip"] or "", "none"] for row in rows]
    out.print()
    title = "LiteRT's GPU on a driver in software: placement and outputs (docs/gpu.md)"
    print_table(table(title, columns, cells))
    for advice in dict.fromkeys(row["advice"] for row in rows if row["advice"]):
        note(advice)


def place_on_gpu(spec: str, model: Path, cpu_seconds: float, as_json: bool) -> None:
    """Show where a file's operations run; raise where the GPU does not take it whole."""
    from nas.devices.gpu.device import open_gpu
    from nas.devices.gpu.driver import litert_version

    device = open_gpu(spec)
    _, adapter = device.check()
    placement = device.place(model, cpu_seconds)
    if not placement.whole:
        raise device.not_whole(placement)
    if as_json:
        emit_json(
            "measure",
            {
                "device": device.spec,
                "source": "simulated",
                "latency_ms": None,
                "placement": [asdict(row) for row in placement.operations],
                "accelerated_mac_share": 1.0,
                "failure": None,
                "conditions": {
                    "precision": device.precision,
                    "driver": adapter.name,
                    "litert": litert_version(),
                },
            },
        )
        return
    out.print(
        f"[bold]{placement.summary}[/] ({device.spec}: {device.precision}, LiteRT "
        f"{litert_version()}, {adapter.name}). It has no latency: this machine's processor does "
        f"the work. `nas fidelity` tells what it computes.",
        highlight=False,
    )


def probed_gpu(spec: str, again: bool) -> dict[str, Any]:
    """What LiteRT's GPU takes, in the form of an NPU's answers; raises as `probe_gpu`."""
    from nas.devices.gpu.device import open_gpu
    from nas.devices.gpu.driver import litert_version
    from nas.devices.gpu.operation_support import probe_gpu

    device = open_gpu(spec)
    with err.status(f"probing {spec} ...") as status:
        rows = probe_gpu(
            device,
            again,
            lambda done, total: status.update(f"probing {spec}: {done} of {total} graphs"),
        )
    _, adapter = device.check()
    return {
        "device": device.spec,
        "source": "simulated",
        "packages": {"ai-edge-litert": litert_version(), "driver": adapter.name},
        "rows": [row.to_dict() for row in rows],
    }
