import json
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import ConfigError, DataError, RunError
from nas.paper.run import (
    choose_network,
    parse_run_name,
    results_by_key,
    run_name,
    run_steps,
    study_of,
)
from nas.storage.run_folder import RunFolder
from studies.paper import SCALES, SMALL_NETWORKS, SMALL_UNET, WHOLE, variants
from tests.helpers.picture_trees import reds
from tests.helpers.quick_search import Hears, Stops
from tests.helpers.small_paper import small_scale

UNETS = variants(SMALL_UNET)


def _labels(folder: Path) -> list[str]:
    return [result.label for result in RunFolder(folder).results()]


def test_the_papers_choices_give_its_21_candidates_in_order(tmp_path: Path) -> None:
    run = run_steps(small_scale(), tmp_path)
    results = run.results()
    networks = list(dict.fromkeys([*SMALL_NETWORKS, *UNETS]))
    assert [result.parameters["network"] for result in results[:11]] == networks
    compressions = [result.candidate["compression"] for result in results[11:]]
    assert {result.parameters["network"] for result in results[11:]} == {
        "unet-resizebilinear-prelu"
    }
    assert [c["pruned_share"] for c in compressions] == [0.05, 0.1, 0.2, 0.3, 0.5, 0, 0, 0] + [
        0.05
    ] * 2
    assert [c["precision"] for c in compressions[5:]] == [
        "int8-ptq", "int8-qat", "int16-ptq", "int8-qat", "int16-ptq",
    ]  # fmt: skip
    assert [r.number for r in results if r.baseline] == [*range(6), 10]


def test_an_interrupted_run_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    run_steps(small_scale(), tmp_path / "whole")
    for count in (1, 7, 9):
        with pytest.raises(KeyboardInterrupt):
            run_steps(small_scale(), tmp_path / "cut", watcher=Stops(count))
    run_steps(small_scale(), tmp_path / "cut")
    assert _labels(tmp_path / "cut") == _labels(tmp_path / "whole")
    again = Stops(1)
    run_steps(small_scale(), tmp_path / "cut", watcher=again)
    assert again.count == 1


def test_measured_choices_follow_the_psnr_of_this_run(tmp_path: Path) -> None:
    best = UNETS["unet-depthtospace-relu"]
    scale = small_scale({SMALL_UNET.label: 40.0, best.label: 41.0})
    notes = Hears()
    run = run_steps(scale, tmp_path, "measured", watcher=notes)
    compressed = {r.parameters["network"] for r in run.results()[11:]}
    assert compressed == {"unet-depthtospace-relu"}
    assert notes.notes == [
        "step 1: unet-transposeconv-relu goes on, the sharpest here",
        "step 2: unet-depthtospace-relu goes on, the sharpest here",
    ]


def test_a_winner_without_an_up_sampling_to_choose_is_named_and_a_unet_goes_on(
    tmp_path: Path,
) -> None:
    scale = small_scale({SMALL_NETWORKS["sgn"].label: 50.0})
    run = run_steps(scale, tmp_path, "measured", step=1)
    choice = choose_network(scale, scale.steps[0], "measured", results_by_key(run))
    assert (choice.network, choice.best) == ("unet-transposeconv-relu", "sgn")
    assert "sgn is the sharpest here, but has no up-sampling operation" in choice.why
    by_the_paper = choose_network(scale, scale.steps[0], "paper", results_by_key(run))
    assert by_the_paper.why.endswith("as in the paper; the sharpest here is sgn")


def test_nothing_to_choose_from_is_an_error(tmp_path: Path) -> None:
    scale = small_scale()
    stopped = replace(scale, study=replace(scale.study, constraints=("psnr_db>=1000",)))
    with pytest.raises(RunError, match="step 1 has no result to choose from: none of unet-trans"):
        run_steps(stopped, tmp_path, "measured")


def test_a_step_without_those_before_it_is_refused(tmp_path: Path) -> None:
    scale = small_scale()
    with pytest.raises(
        ConfigError,
        match=r"--step 3 needs the results of step 1 \(networks\), but .*run --step 1 there first",
    ):
        run_steps(scale, tmp_path, step=3)
    assert not (tmp_path / "run.json").exists()
    run_steps(scale, tmp_path, step=1)
    assert len(_labels(tmp_path)) == 6
    with pytest.raises(ConfigError, match=r"results of step 2 .* and 3 more"):
        run_steps(scale, tmp_path, step=3)
    run_steps(scale, tmp_path, step=2)
    run_steps(scale, tmp_path, step=3)
    assert len(_labels(tmp_path)) == 16
    with pytest.raises(ConfigError, match="--step 5: there is no such step"):
        run_steps(scale, tmp_path, step=5)


def test_another_selection_or_scale_is_another_run(tmp_path: Path) -> None:
    run_steps(small_scale(), tmp_path, step=1)
    with pytest.raises(RunError, match="name: the run has 'paper-smoke', asked for is 'paper-smo"):
        run_steps(small_scale(), tmp_path, "measured", step=1)
    with pytest.raises(ConfigError, match="Did you mean 'measured'"):
        run_steps(small_scale(), tmp_path, "measure")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("select", ["paper", "measured"])
def test_a_runs_name_tells_scale_and_choices(scale: str, select: str) -> None:
    assert parse_run_name(run_name(scale, select)) == (scale, select)
    assert study_of(SCALES[scale], select).name == run_name(scale, select)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["quickstart", "paper", "paper-smoke-guessed", "portable-x"])
def test_other_names_are_no_staged_study(name: str) -> None:
    assert parse_run_name(name) is None


def test_the_papers_scale_needs_reds_and_all_of_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--scale paper trains on REDS, but --data is 'reds'"):
        run_steps(WHOLE, tmp_path / "run")
    other = replace(WHOLE, study=replace(WHOLE.study, data="photos"))
    with pytest.raises(ConfigError, match="or choose --scale short for any data set"):
        run_steps(other, tmp_path / "run")
    folder = reds(tmp_path / "reds", clips=1, frames=2, val_frames=10)
    part = replace(WHOLE, study=replace(WHOLE.study, data=f"reds:{folder}"))
    with pytest.raises(
        DataError,
        match=r"needs all of REDS: 24000 pairs to train on and 300 held out, but .* has 2 and 1",
    ):
        run_steps(part, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_keeps_whole_json_numbers(tmp_path: Path) -> None:
    run = run_steps(small_scale(), tmp_path, step=1)
    study = json.loads((run.path / "run.json").read_text())["study"]
    assert study["space"]["sgn"] == SMALL_NETWORKS["sgn"].to_dict()
    assert len(study["baselines"]) == 7
