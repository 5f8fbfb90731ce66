from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import ConfigError, RunError
from nas.system.files import write_json
from nas.training.schedule import Schedule, short_schedule
from nas.training.supernet.spec import DESCRIPTION, SupernetSpec, gentle, start_of, supernet_of
from search_spaces import UNetSpace

SCHEDULE = Schedule(steps=60, learning_rate=3e-3, warmup_steps=10)
SPEC = SupernetSpec(UNetSpace().to_dict(), {"kind": "photos"}, SCHEDULE, 0)


def describe(folder: Path, spec: SupernetSpec) -> None:
    write_json(folder / DESCRIPTION, {"key": spec.key, "spec": spec.to_dict()})


def test_a_key_depends_on_everything_that_decides_the_weights() -> None:
    others = [
        replace(SPEC, seed=1),
        replace(SPEC, random=3),
        replace(SPEC, data={"kind": "reds"}),
        replace(SPEC, schedule=replace(SCHEDULE, steps=61)),
        replace(SPEC, space=UNetSpace(levels=(2,)).to_dict()),
    ]
    assert len({spec.key for spec in [SPEC, *others]}) == 6
    assert replace(SPEC, schedule=replace(SCHEDULE, checkpoint_seconds=1.0)).key == SPEC.key


def test_a_folder_with_another_supernet_tells_what_differs(tmp_path: Path) -> None:
    assert SPEC.check(tmp_path) is None
    describe(tmp_path, SPEC)
    description = SPEC.check(tmp_path)
    assert description is not None
    assert description["key"] == SPEC.key
    with pytest.raises(RunError, match=r"was trained for another seed \(key \w+, expected \w+\)"):
        replace(SPEC, seed=1).check(tmp_path)


def test_a_supernet_that_is_not_finished_is_none_to_search_by(tmp_path: Path) -> None:
    describe(tmp_path, SPEC)
    with pytest.raises(RunError, match="holds no finished supernet; train one with"):
        supernet_of(tmp_path)


def test_a_supernet_takes_half_the_rate_and_a_long_warm_up() -> None:
    schedule = short_schedule(600)
    own = gentle(schedule, 300)
    assert (own.steps, own.warmup_steps) == (300, 100)
    assert own.learning_rate == schedule.learning_rate / 2
    assert (own.batch, own.clip_norm) == (schedule.batch, schedule.clip_norm)
    assert gentle(replace(schedule, warmup_steps=0), 300).warmup_steps == 0


def test_a_start_is_part_of_a_trainings_schedule() -> None:
    started = replace(SCHEDULE, start=start_of("abc"))
    assert started.to_dict()["start"] == "supernet:abc"
    assert "start" not in SCHEDULE.to_dict()
    with pytest.raises(ConfigError, match=r"a supernet is made of a space of U-Nets .* of edsr"):
        _ = replace(SPEC, space={"family": "edsr"}).elastic
