"""`nas describe` and `nas measure`: look at one network or one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import counted, emit_json, err, out, print_table, table
from nas.cli.options import (
    BinaryOption,
    DelegateOption,
    JsonOption,
    LaunchesOption,
    LaunchSecondsOption,
    LibrariesOption,
    LimitOption,
    PrecisionOption,
    ProtocolOption,
    RunsOption,
    SizeOption,
    StrictOption,
    ThreadsOption,
    parse_size,
)
from nas.errors import ConfigError, unknown

if TYPE_CHECKING:
    from nas.devices import Measurement
    from nas.networks.candidate import Architecture


def describe(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="A name, e.g. unet-resizebilinear-relu, a label, a .json or a .py file.",
            autocompletion=complete.networks,
        ),
    ],
    size: Annotated[str, typer.Option(help="Picture size, WIDTHxHEIGHT.")] = "1280x720",
    json_: JsonOption = False,
) -> None:
    """Show an architecture's layers, MACs (both conventions) and parameters."""
    value = named_architecture(architecture)
    width, height = parse_size(size)
    document = described(value, width, height)
    if json_:
        emit_json("describe", document)
    else:
        _show_layers(document)


def described(architecture: Architecture, width: int, height: int) -> dict[str, Any]:
    """Return an architecture's costs at a picture size, in all and by layer, as JSON values.

    MACs are in billions, by both conventions; a layer's shape is (height, width, channels).
    """
    from nas.networks.graph import NO_MACS, layer_kind

    rows = architecture.graph().costs(height, width)
    macs = sum((row.macs for row in rows), NO_MACS)
    return {
        "architecture": architecture.to_dict(),
        "label": architecture.label,
        "size": [width, height],
        "gmacs_conv": macs.conv / 1e9,
        "gmacs_profiler": macs.profiler / 1e9,
        "parameters": sum(row.parameters for row in rows),
        "layers": [
            {
                "name": row.layer.name,
                "operation": layer_kind(row.layer),
                "inputs": list(row.layer.inputs),
                "shape": list(row.shape),
                "gmacs_conv": row.macs.conv / 1e9,
                "gmacs_profiler": row.macs.profiler / 1e9,
                "parameters": row.parameters,
            }
            for row in rows
        ],
    }


def _show_layers(document: dict[str, Any]) -> None:
    columns = {"layer": "left", "operation": "left", "output h x w x c": "right"}
    columns |= {"GMAC": "right", "parameters": "right"}
    body = [
        [
            layer["name"],
            layer["operation"],
            "x".join(map(str, layer["shape"])),
            f"{layer['gmacs_conv']:.3f}" if layer["gmacs_conv"] else "",
            f"{layer['parameters']:,}" if layer["parameters"] else "",
        ]
        for layer in document["layers"]
    ]
    size = "x".join(map(str, document["size"]))
    print_table(table(f"{document['label']} at {size}", columns, body))
    out.print(
        f"\n[bold]{document['gmacs_conv']:.2f}[/] GMAC in convolutions, "
        f"[bold]{document['gmacs_profiler']:.2f}[/] by the profiler's convention, "
        f"[bold]{document['parameters']:,}[/] parameters",
        highlight=False,
    )


def named_architecture(name: str) -> Any:
    """Return the architecture of that name or label, of a JSON file, or the value NETWORK of a .py
    file.

    A label may end with a file's precision, as `nas pareto` prints it; that says nothing here.
    Raises ConfigError on others.
    """
    from nas.networks.candidate import PRECISIONS
    from search_spaces import ARCHITECTURES, architecture_from_dict
    from search_spaces.unet_label import unet_from_label

    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    words = name.split()
    label = " ".join(words[:-1] if words and words[-1] in PRECISIONS else words)
    if label and (network := unet_from_label(label)) is not None:
        return network
    if name.lower().endswith(".tflite"):
        raise ConfigError(
            f"{name} is a .tflite file, which holds no architecture to describe or train: "
            f"`nas measure {name}` times it, and tells where its operations run"
        )
    if name.endswith(".py"):
        return _own_network(Path(name))
    if not name.endswith(".json"):
        raise unknown("architecture", name, ARCHITECTURES)
    try:
        values = json.loads(Path(name).read_text())
        values = values.get("candidate", values)  # a card.json of `nas export`
        values = values.get("architecture", values)
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{name} can't be read as an architecture's JSON: {error}") from error
    return architecture_from_dict(values)


def _own_network(path: Path) -> Any:
    from nas.cli.own_file import own_values
    from nas.networks.candidate import Architecture

    if not path.is_file():
        raise ConfigError(f"{path} is no file; give a network's name, a .json or a .py file")
    network = own_values(path).get("NETWORK")
    if not isinstance(network, Architecture):
        raise ConfigError(
            f"{path} has no value NETWORK with label, graph() and to_dict(), but {network!r}"
        )
    return network


def measure(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.")],
    device: Annotated[
        str, typer.Option(help="The device that runs it.", autocompletion=complete.devices)
    ] = "host",
    launches: LaunchesOption = 5,
    runs: RunsOption = 10,
    threads: ThreadsOption = 2,
    size: SizeOption = None,
    timeout: LaunchSecondsOption = 300.0,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    precision: PrecisionOption = None,
    strict: StrictOption = False,
    npu_libraries: LibrariesOption = None,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """Time a model on a device: the median over launches, with its interval and conditions."""
    from nas.cli.devices import phone_spec
    from nas.cli.gpus import place_on_gpu
    from nas.devices import TimingProtocol, open_device
    from nas.devices.gpu.device import is_gpu
    from nas.devices.names import device_name
    from nas.tflite.size import at_given_size

    timing = TimingProtocol(launches=launches, runs=runs, threads=threads, timeout_seconds=timeout)
    device = phone_spec(
        device, delegate, protocol, benchmark_binary, precision, strict, npu_libraries
    )
    at = f" at {size}" if size else ""
    if not model.is_file():
        raise ConfigError(f"{model} is no file; give a .tflite file")
    if not json_:
        doings = {"paper": "looking up", "npu": "simulating", "gpu": "placing"}
        doing = doings.get(device.partition(":")[0], "measuring")
        err.print(f"{doing} {model.name}{at} on {device} ...", highlight=False)
    with at_given_size(model, parse_size(size) if size else None) as path:
        if is_gpu(device):
            place_on_gpu(device, path, timeout, json_)
            return
        measurement = open_device(device).measure(path, timing)
    name = device_name(device, measurement.conditions)
    if json_:
        emit_json("measure", {**measurement.to_dict(), "device_name": name.full})
    elif measurement.measured:
        _show_measured(measurement, f"{name.full}{at}")
    else:
        _show_unmeasured(measurement)


def _show_measured(measurement: Measurement, where: str) -> None:
    low, high = measurement.interval_ms
    launches = counted(len(measurement.samples_ms), "launch", "es")
    inferences = counted(measurement.count, "inference")
    out.print(
        f"[bold]{measurement.latency_ms:.2f} ms[/] on {where} ({measurement.source}; "
        f"{low:.2f} to {high:.2f} over {launches}, {inferences})",
        highlight=False,
    )
    if measurement.init_ms is not None and measurement.first_ms is not None:
        out.print(
            f"init {measurement.init_ms:.1f} ms, first inference {measurement.first_ms:.2f} ms"
            + (f", peak {measurement.peak_memory_mb:.0f} MB" if measurement.peak_memory_mb else "")
        )
    if (compile_ms := measurement.figures.get("compile_ms")) is not None:
        out.print(f"compiled for the NPU in {compile_ms:.0f} ms, which no other figure holds")
    if measurement.spread > 0.1:
        out.print(f"[yellow]unsteady:[/] launches differ by {measurement.spread:.0%}")
    if measurement.disturbed:
        out.print(f"[yellow]taken on a busy processor:[/] {measurement.disturbed}", highlight=False)
    _show_placement(measurement)


def _show_unmeasured(measurement: Measurement) -> None:
    """Print a latency that was not measured here, its origin first."""
    about = measurement.conditions
    if not measurement.timed:
        out.print(f"{measurement.device}: {about['about']}", highlight=False)
        _show_figures(measurement)
        return
    interval = ""
    if measurement.stated_interval_ms is not None:
        low, high = measurement.stated_interval_ms
        known = measurement.stated_coverage is not None
        probability = f" with {measurement.interval_coverage:.0%}" if known else ""
        interval = f"; {low:.4g} to {high:.4g}{probability}"
    out.print(
        f"[bold]{measurement.source}[/], not measured: [bold]{measurement.latency_ms:.4g} ms[/] on "
        f"{measurement.device} ({about['about']}{interval})",
        highlight=False,
    )
    _show_figures(measurement)


def _show_figures(measurement: Measurement) -> None:
    """Print what to mind of figures that nobody measured, those beside a latency, the placement."""
    if caution := measurement.conditions["caution"]:
        out.print(f"[yellow]mind:[/] {caution}", highlight=False)
    if measurement.figures:
        pairs = measurement.figures.items()
        out.print(", ".join(f"{name} {value:.4g}" for name, value in pairs), highlight=False)
    _show_placement(measurement)


def _show_placement(measurement: Measurement) -> None:
    from nas.devices.placement import is_cpu

    elsewhere = [row for row in measurement.placement if is_cpu(row.accelerator)]
    if elsewhere:
        names = ", ".join(sorted({f"{row.op} ({row.accelerator})" for row in elsewhere}))
        out.print(f"{len(elsewhere)} of {len(measurement.placement)} operations not taken: {names}")
    if measurement.accelerated_mac_share is not None:
        ran = "ran" if measurement.measured else "would run"
        out.print(f"{measurement.accelerated_mac_share:.1%} of the MACs {ran} accelerated")
