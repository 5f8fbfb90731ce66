"""How `nas sweep` prints rows; tests/nas/devices/test_sweep.py measures them."""

from pathlib import Path

from nas.cli import phones
from nas.devices.sweep import SweepRow


def test_a_failure_of_the_file_is_told_once_below_the_table(tmp_path: Path, monkeypatch, capfd):
    import nas.devices.sweep

    row = SweepRow("host", (640, 360), None, None, None, None, None, "[fixed] size", None)
    monkeypatch.setattr(nas.devices.sweep, "sweep", lambda *_: [row, row])
    phones.sweep(Path("model.tflite"), tmp_path, ["host"])
    written = capfd.readouterr()
    assert " ".join(written.out.split()).count("the file has no such form") == 2
    assert written.err.count("[fixed] size") == 1
