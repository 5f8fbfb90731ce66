from pathlib import Path
from types import SimpleNamespace

from nas.training.schedule import Schedule
from nas.training.workshop import Workshop


def test_another_schedule_leaves_the_rest_and_the_workshop_itself() -> None:
    calls: list[str] = []
    first, second = Schedule(steps=10), Schedule(steps=3)
    workshop = Workshop(
        SimpleNamespace(side=16), first, 7, Path("weights"), lambda stage, *_: calls.append(stage)
    )
    other = workshop.under(second)
    assert (workshop.schedule, other.schedule) == (first, second)
    assert (other.pack, other.seed, other.folder) == (workshop.pack, 7, Path("weights"))
    other.progress("tuning", 1, 3, 0.5)
    assert calls == ["tuning"]
