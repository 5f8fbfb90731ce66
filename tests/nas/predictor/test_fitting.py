"""Fitting and checking from end to end on a modelled phone, and the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.devices import Measurement, TimingProtocol
from nas.devices.adb.server import AdbServer
from nas.devices.fleet import Outcome
from nas.devices.host.pace import Pace
from nas.devices.paper_phones.device import tell
from nas.errors import ConfigError, DeviceTransientError, NasError
from nas.networks.candidate import Architecture, Precision
from nas.predictor import fitting
from nas.predictor.checking import check
from nas.predictor.fitting import FittingSpace, Networks, fit
from nas.predictor.identity import folder_of, identity_of, load
from nas.predictor.predictor import LEAST_NETWORKS
from nas.tflite.operations import of_graph
from search_spaces import CompressionSpace, UNetSpace
from tests.helpers.envelope import data_of
from tests.helpers.phones import StartPhone, adb_server, own_folders, start_phone
from tests.helpers.small_study import small_study

__all__ = ["adb_server", "own_folders", "start_phone"]  # fixtures
PHONE = "paper:pixel-4"
STUDY = small_study()


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _formula(self: Networks, network: Architecture, precision: Precision) -> Measurement:
    """What the modelled phone says of a graph, without a conversion."""
    told = tell("pixel-4", of_graph(network.graph(), self._space.size, precision))
    assert told.latency_ms is not None
    return Measurement(PHONE, "modelled", ((told.latency_ms,),), None, None, None, ())


def test_a_small_space_on_a_modelled_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Networks, "measure", _formula)
    stages: list[str] = []
    predictor, path = fit(PHONE, STUDY, None, 8, lambda stage, *_: stages.append(stage))
    assert set(stages) == {"operations", "networks"}
    assert path.exists()
    assert {dtype: len(rows) for dtype, rows in predictor.observed.items()} == {
        "float32": 8,
        "int8": 8,
    }
    same, rows = check(PHONE, STUDY, None, 12, _silent)
    assert same.about == predictor.about
    assert len(rows) == 24
    assert np.mean([abs(row.error) for row in rows]) < 0.06
    assert {row.warnings for row in rows} == {()}
    assert load(identity_of(PHONE, STUDY)).about == predictor.about


def test_real_files_on_a_modelled_phone() -> None:
    study = small_study(compression=CompressionSpace(("int8-ptq",)))
    predictor, _ = fit(PHONE, study, None, LEAST_NETWORKS, _silent)
    folder = folder_of(predictor.about)
    assert len(list((folder / "networks").glob("*.json"))) == LEAST_NETWORKS
    assert not list((folder / "files").glob("*"))
    (network,) = FittingSpace.of(study).draw(1, seed=5)
    formula = tell("pixel-4", of_graph(network.graph(), study.size, "int8-ptq")).latency_ms
    told = predictor.predict(network.graph(), study.size, "int8-ptq")
    assert told.latency_ms == pytest.approx(formula, rel=0.1)


def test_a_stopped_fit_measures_no_network_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    kept: dict[str, Any] = {}

    def measured(self: Networks, network: Architecture, precision: Precision) -> Measurement:
        key = f"{network.label} {precision}"
        if key not in kept:
            asked.append(key)
            if len(asked) == 6:
                raise DeviceTransientError("phone X is away")
            kept[key] = _formula(self, network, precision)
        return kept[key]

    monkeypatch.setattr(Networks, "measure", measured)
    with pytest.raises(DeviceTransientError, match=r"phone X is away"):
        fit(PHONE, STUDY, None, 5, _silent)
    with pytest.raises(ConfigError, match=r"no predictor of paper:pixel-4 was fitted yet"):
        load(identity_of(PHONE, STUDY))
    fit(PHONE, STUDY, None, 5, _silent)
    assert len(asked) == 11  # one of ten twice: the one that failed


@pytest.mark.parametrize("count", [0, 3, 201])
def test_too_few_networks(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"--networks {count}: .* 4 to 200"):
        fit(PHONE, STUDY, None, count, _silent)


def test_a_phone_that_refuses_nearly_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(self: Networks, network: Architecture, precision: Precision) -> Any:
        return None if precision == "int8-ptq" else _formula(self, network, precision)

    monkeypatch.setattr(Networks, "measure", refusing)
    with pytest.raises(ConfigError, match=r"ran only 0 of the networks in int8-ptq"):
        fit(PHONE, STUDY, None, 5, _silent)


@pytest.mark.parametrize("others", [0.02, 1.4])
def test_a_busy_machine_is_told_of(others: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(path: Path, specs: Any, protocol: Any, cache: Path) -> list[Outcome]:
        conditions = {"others_busy_cores": others}
        measured = Measurement("host", "measured", ((1.0,),), None, None, None, (), conditions)
        return [Outcome("host", measured)]

    monkeypatch.setattr(fitting, "measure_everywhere", answers)
    monkeypatch.setattr(Networks, "_file", lambda *_: Path("x.tflite"))
    said: list[str] = []
    space = FittingSpace.of(STUDY)
    networks = Networks("host", space, TimingProtocol(), Path("."))
    assert networks.measure(space.draw(1, seed=0)[0], "float") is not None
    networks.complain(said.append)
    assert [text[:25] for text in said] == (["others used 1.4 of this m"] if others > 1 else [])


def test_a_size_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"--size 65x32: .* divide by 4, for example 64x32"):
        FittingSpace.of(STUDY, (65, 32))


def test_one_precision_for_each_data_type() -> None:
    precisions = ("float", "int8-qat", "int8-ptq", "int16-ptq")
    study = small_study(compression=CompressionSpace(precisions))
    assert FittingSpace.of(study).precisions == ("float", "int8-qat", "int16-ptq")


def test_pruned_networks_are_drawn_where_the_study_prunes() -> None:
    study = small_study(compression=CompressionSpace(("float",), (0.3,)))
    labels = [network.label for network in FittingSpace.of(study).draw(5, seed=0)]
    shares = [float(label.partition("pruned ")[2].removesuffix("%")) for label in labels]
    assert len(set(labels)) == 5
    assert min(shares) >= 30
    assert max(shares) < 35  # whole channels go: a little more than was asked for


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Networks, "measure", _formula)
    monkeypatch.setattr(fitting, "SAMPLED", 40)
    file = tmp_path / "mine.py"
    file.write_text("from tests.helpers.small_study import small_study\nSTUDY = small_study()\n")
    asked = ["--device", PHONE, "--study", str(file)]
    runner = CliRunner()
    done = runner.invoke(app, ["predictor", "fit", *asked, "--networks", "6", "--json"])
    assert done.exit_code == 0, done.output
    facts = data_of(done.stdout, "predictor-fit")
    assert facts["networks"] == {"float32": 6, "int8": 6}
    assert facts["about"]["device"] == PHONE
    picture = tmp_path / "check.png"
    arguments = ["predictor", "check", *asked, "--networks", "8", "--plot", str(picture)]
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    for word in ("precision", "from MACs", "float", "int8-ptq", "within 10 %"):
        assert word in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = runner.invoke(app, [*arguments, "--json"])
    document = data_of(done.stdout, "predictor-check")
    assert document["scores"]["float"]["predictor"]["networks"] == 8
    assert document["scores"]["float"]["predictor"]["mape"] < 0.1
    assert len(document["networks"]) == 16
    done = runner.invoke(app, ["predictor", "fit", *asked])
    assert done.exit_code == 0
    assert "CONV_2D" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "--networks", "2"], "--networks 2"),
        (["fit", "--device", "hostt"], "unknown device 'hostt'"),
        (["fit", "--study", "quickstartt"], "unknown study"),
        (["fit", "--size", "640"], "expected WIDTHxHEIGHT"),
        (["check"], "no predictor of host was fitted yet"),
        (["fit", "--delegate", "gpu"], "are for phones"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["predictor", *arguments])
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.slow
def test_an_emulated_phone_from_end_to_end(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    study = small_study(
        compression=CompressionSpace(("float",)),
        space=UNetSpace(("depth-to-space",), ("relu",), (2,), (4, 8), (1,), (3,), (True,)),
    )
    spec = f"adb:{phone.address}"
    predictor, _ = fit(spec, study, None, LEAST_NETWORKS, _silent)
    assert predictor.about["serial"] == phone.address
    assert len(predictor.observed["float32"]) == LEAST_NETWORKS
    (network,) = FittingSpace.of(study).draw(1, seed=2)
    assert predictor.predict(network.graph(), study.size).latency_ms > 0
    phone.stop()
    with pytest.raises(NasError, match=phone.address):
        fit(spec, study, None, LEAST_NETWORKS, _silent)


def test_figures_of_a_busy_machine_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "networks" / "key.json"
    kept.parent.mkdir()

    def answers(path: Path, specs: Any, protocol: Any, cache: Path) -> list[Outcome]:
        kept.write_text(json.dumps({"conditions": {"pace": {"best_ms": 0.5}}}))
        conditions = {"disturbed": "others used 1.4 of this machine's 2 cores"}
        measured = Measurement("host", "measured", ((1.0,),), None, None, None, (), conditions)
        return [Outcome("host", measured, key="key")]

    monkeypatch.setattr(fitting, "measure_everywhere", answers)
    monkeypatch.setattr(fitting, "PACE", pace := Pace())
    monkeypatch.setattr(Networks, "_file", lambda *_: Path("x.tflite"))
    (tmp_path / "networks" / "earlier.json").write_text(
        json.dumps({"conditions": {"pace": {"best_ms": 0.25}}})
    )
    space = FittingSpace.of(STUDY)
    networks = Networks("host", space, TimingProtocol(), tmp_path)
    found = networks.measure(space.draw(1, seed=0)[0], "float")
    assert found is not None
    assert found.disturbed == "others used 1.4 of this machine's 2 cores"
    assert not kept.exists()
    assert pace.best_ms == 0.25  # what this machine could do when the predictor was fitted
