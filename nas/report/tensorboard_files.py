"""Writes a run's trials as TensorBoard's event files: a folder a trial, and nothing else is needed.

TensorBoard's own writer imports TensorFlow where it is installed; the records are written without.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas.report.tracking import LOSS, Handover, Tell, TrackedRun, TrackedTrial, missing
from nas.system.files import write_atomically

FILE = "events.out.tfevents.portable-nas"
"""The name of a trial's file: the same each time, so that it takes the place of an earlier one."""


def write_tensorboard(run: TrackedRun, folder: Path, tell: Tell) -> Handover:
    """Write FOLDER/RUN/trial-00012/ for each trial; files that are as they should be stay.

    Raises ConfigError where TensorBoard is not installed, RunError where a file can't be written.
    """
    written = 0
    for index, trial in enumerate(run.trials):
        tell(index, len(run.trials))
        path = folder / run.name / trial.name / FILE
        content = event_file(trial, f"{run.name}/{trial.name}")
        if path.exists() and path.read_bytes() == content:
            continue
        _write(path, content)
        written += 1
    return Handover(written, len(run.trials) - written, f"tensorboard --logdir {folder}")


def _write(path: Path, content: bytes) -> None:
    for cut in path.parent.glob(f".{path.name}.*"):  # by a kill; TensorBoard would read it
        cut.unlink()
    write_atomically(path, lambda file: file.write(content))


def event_file(trial: TrackedTrial, group: str) -> bytes:
    """Return a trial's file; equal trials have equal bytes.

    `group` is the trial's own name among all in the folder. ConfigError without TensorBoard.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise missing("tensorboard", error) from error
    content = io.BytesIO()
    writer = RecordWriter(content)
    first = Event(wall_time=trial.began, file_version="brain.Event:2")
    writer.write(first.SerializeToString(deterministic=True))
    for step, at, value in _values(trial, group):
        event = Event(wall_time=at, step=step, summary=Summary(value=[value]))
        writer.write(event.SerializeToString(deterministic=True))
    return content.getvalue()


def _values(trial: TrackedTrial, group: str) -> Iterator[tuple[int, float, Any]]:
    """Yield step, time and value of each summary."""
    yield 0, trial.began, _start(trial, group)
    yield 0, trial.began, _text("trial", _about(trial))
    for point in trial.curve:
        yield point.step, point.at, _scalar(LOSS, point.loss, "measured during the training")
    for name, value in trial.figures.items():
        told = ", ".join(filter(None, [trial.sources[name], trial.conditions.get(name)]))
        yield trial.last_step, trial.ended, _scalar(name, value, told)
    yield trial.last_step, trial.ended, _end(trial)


def _scalar(name: str, value: float, description: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.metadata import create_summary_metadata

    about = create_summary_metadata(display_name=name, description=description)
    return Summary.Value(tag=name, simple_value=value, metadata=about)


def _text(name: str, text: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.text.metadata import create_summary_metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    about = create_summary_metadata(display_name=name, description="")
    tensor = make_tensor_proto([text.encode()], shape=(1,))
    return Summary.Value(tag=name, tensor=tensor, metadata=about)


def _start(trial: TrackedTrial, group: str) -> Any:
    """Return the parameters, in an order that does not differ from process to process."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    (value,) = hparams_pb(dict(trial.parameters), group, trial.began).value
    data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    value.metadata.plugin_data.content = data.SerializeToString(deterministic=True)
    return value


def _end(trial: TrackedTrial) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_FAILURE if trial.failed else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=trial.ended)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    about = metadata.create_summary_metadata(data)
    tag = metadata.SESSION_END_INFO_TAG
    return Summary.Value(tag=tag, tensor=metadata.NULL_TENSOR, metadata=about)


def _about(trial: TrackedTrial) -> str:
    """Return a trial in Markdown: its tags, and each figure with its source and conditions."""
    lines = [f"- {name}: {value}" for name, value in trial.tags.items()]
    lines += ["", "| figure | value | source | conditions |", "|-|-|-|-|"]
    for name, value in trial.figures.items():
        condition = trial.conditions.get(name, "").replace("|", "/")
        lines.append(f"| {name} | {value:.6g} | {trial.sources[name]} | {condition} |")
    return "\n".join(lines)
