"""Two examples for every command, shown at the end of its page of help."""

from __future__ import annotations

from typing import Any

from nas.cli.console import plain

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("nas demo", "nas demo --no-open --out runs/demo"),
    "studies": ("nas studies", "nas studies --json"),
    "data check": ("nas data check photos", "nas data check pairs:blurred,sharp --full"),
    "data prepare": ("nas data prepare reds:/data/REDS", "nas data prepare photos --verify"),
    "paper": ("nas paper --scale smoke --out runs/paper", "nas paper --device adb:SERIAL --step 1"),
    "paper report": ("nas paper report runs/paper", "nas paper report runs/paper --no-measure"),
    "search": (
        "nas search quickstart --out runs/a",
        "nas search my_study.py --device host --constraint 'latency_ms[host]<=50'",
        "nas search my_study.py --size 1280x720 --show",
    ),
    "status": ("nas status runs/a", "nas status runs/a --watch"),
    "supernet train": (
        "nas supernet train quickstart",
        "nas supernet train quickstart --steps 2000 --out runs/net",
    ),
    "supernet show": ("nas supernet show runs/net", "nas supernet show runs/net --json"),
    "pareto": (
        "nas pareto runs/a --under 'latency_ms[host]=33'",
        "nas pareto runs/a --sort parameters --format csv",
    ),
    "explain": ("nas explain runs/a", "nas explain runs/a 3"),
    "trials": ("nas trials runs/a --state failed", "nas trials runs/a --format csv"),
    "report": ("nas report runs/a --open", "nas report runs/s24 --ask-npus 3"),
    "compare": ("nas compare runs/a runs/b", "nas compare runs/a runs/b --out fronts.svg"),
    "export": ("nas export runs/a --out models", "nas export runs/a --out models --onnx"),
    "push": (
        "nas push models/FOLDER USER/NAME --dry-run",
        "nas push models/FOLDER USER/NAME --public",
    ),
    "track": (
        "nas track runs/a --to tensorboard --out board",
        "nas track runs/a --to mlflow --out tracked --json",
    ),
    "dashboard": ("nas dashboard runs/a", "nas dashboard runs/a --port 8081"),
    "devices": ("nas devices", "nas devices --connect 192.168.0.7:5555"),
    "doctor": ("nas doctor", "nas doctor --device adb:SERIAL --npu-libraries qairt --json"),
    "probe": (
        "nas probe --device adb:SERIAL --delegate nnapi",
        "nas probe --device npu:sm8650 --size 80x45 --json",
    ),
    "parse-log": ("nas parse-log benchmark.txt", "nas parse-log logcat.txt --pid 4711 --json"),
    "predictor fit": (
        "nas predictor fit --device host --study quickstart",
        "nas predictor fit --device adb:SERIAL --delegate gpu",
    ),
    "predictor check": (
        "nas predictor check --device host --study quickstart",
        "nas predictor check --networks 20 --plot check.png",
    ),
    "restore": (
        "nas restore models/FOLDER photo.jpg",
        "nas restore model.tflite photos --out restored --format jpeg",
    ),
    "measure": (
        "nas measure model.tflite",
        "nas measure model.tflite --device adb:SERIAL --delegate nnapi --json",
    ),
    "check": (
        "nas check models --device host --baseline speed.json --write",
        "nas check models --device host --baseline speed.json",
    ),
    "sweep": (
        "nas sweep model.tflite --out sweep",
        "nas sweep model.tflite --out sweep --device npu:sm8650 --size 1280x704",
    ),
    "fidelity": (
        "nas fidelity models/FOLDER --device adb:SERIAL",
        "nas fidelity model.tflite --device host --data photos --pictures 4",
        "nas fidelity models/FOLDER --device gpu --device npu:sm8650 --pictures 2",
    ),
    "compress": (
        "nas compress unet-resizebilinear-relu --data photos --out small --smoke",
        "nas compress net.json --data photos --out small --prune 0.3 --precision int8-qat",
    ),
    "describe": (
        "nas describe unet-resizebilinear-relu",
        "nas describe 'unet-depthtospace-relu 8-16 x2 k3 res add' --size 640x360",
    ),
    "node": ("nas node", "nas node --address 10.0.0.7:6379"),
    "study copy": (
        "nas study copy runs/a postgresql://me@host/studies",
        "nas study copy postgresql://me@host/studies runs/a",
    ),
    "study send": ("nas study send runs/a", "nas study send runs/a s3://bucket/runs"),
    "study fetch": (
        "nas study fetch s3://bucket/runs runs/a",
        "nas study fetch gs://bucket/runs runs/b",
    ),
    "schema": ("nas schema pareto", "nas schema data-check"),
}
"""By a command's words: two command lines that its own parser understands."""


def finish_page(command: Any, name: str) -> None:
    """Finish a command's page of help, and those below it where it is a group.

    Two examples end it. Its paragraphs are each wrapped as one, flags have no type, arguments no
    braces, and values have one word for their kind.
    """
    for word, below in getattr(command, "commands", {}).items():
        finish_page(below, f"{name} {word}")
    paragraphs = (command.help or "").split("\n\n")
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for param in command.params:
        if param.param_type_name == "option" and param.metavar is None:
            param.metavar = _kind_of_value(param)
    help_option = command.get_help_option

    def untyped(context: Any) -> Any:
        option = help_option(context)
        option.metavar = ""
        return option

    command.get_help_option = untyped
    usage = command.collect_usage_pieces
    without = str.maketrans("", "", "{}")
    command.collect_usage_pieces = lambda context: [p.translate(without) for p in usage(context)]
    if name in EXAMPLES:
        lines = [f"  {plain(line)}" for line in EXAMPLES[name]]
        command.epilog = "\n\n".join(["Examples:", *lines])


def _kind_of_value(param: Any) -> str:
    """Return the word for an option's value: "N", "PATH", "TEXT"; none for a flag."""
    if getattr(param, "is_flag", False):
        return ""
    kind = str(param.type_descriptor.annotation)
    if "int" in kind or "float" in kind:
        return "N"
    return "PATH" if "Path" in kind else "TEXT"
