"""Which predictor is the right one: stale, foreign, damaged and missing ones are told apart."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices import TimingProtocol
from nas.errors import ConfigError, NasError, RunError
from nas.predictor import identity
from nas.predictor.identity import FILE, folder_of, identity_of, keep, load, protocol_of, read
from studies import STUDIES
from tests.helpers.small_study import small_study
from tests.helpers.synthetic_device import fitted

STUDY = small_study()


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return


def _kept(about: dict[str, Any]) -> Path:
    predictor, _ = fitted(4)
    return keep(replace(predictor, about=about), folder_of(about))


def test_a_kept_predictor_is_found_again() -> None:
    about = identity_of("host", STUDY)
    _kept(about)
    found = load(identity_of("host", STUDY))
    assert found.about == about
    assert {"processor", "litert", "threads", "size", "space"} <= set(about)


def test_none_fitted_says_the_command() -> None:
    with pytest.raises(ConfigError) as caught:
        load(identity_of("host", STUDY, (128, 64)))
    assert str(caught.value) == (
        "no predictor of host was fitted yet; fit one: `nas predictor fit --device 'host' "
        "--size 128x64 --study small`, with its .py file for --study where the study is your own"
    )
    about = identity_of("host", STUDY)
    assert identity.command(about, "check", "my study.py").endswith("--study 'my study.py'")


def test_another_build_makes_it_stale_and_says_what_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about = identity_of("host", STUDY)
    _kept(about)
    monkeypatch.setattr(identity, "versions", lambda: {"ai-edge-litert": "9.9.9"})
    with pytest.raises(ConfigError) as caught:
        load(identity_of("host", STUDY))
    text = str(caught.value)
    assert f"litert {about['litert']} (here: 9.9.9)" in text
    assert "nas predictor fit --device 'host'" in text
    assert "\n" not in text


def test_other_threads_and_another_space_are_another_predictor() -> None:
    about = identity_of("host", STUDY)
    space = replace(STUDY.space, widths=(4, 12))  # type: ignore[type-var]
    other = identity_of("host", replace(STUDY, space=space))
    assert folder_of(other) != folder_of(about)
    assert protocol_of(STUDY) == TimingProtocol()
    assert protocol_of(STUDIES["quickstart"]).threads == 1
    _kept(about)
    with pytest.raises(ConfigError, match=r"fitted with space"):
        load(other)


def test_a_file_of_another_device_is_refused() -> None:
    path = _kept(identity_of("paper:pixel-4", STUDY))
    wanted = identity_of("paper:mate30-pro-5g", STUDY)
    with pytest.raises(ConfigError, match=r"device paper:pixel-4 .here: paper:mate30-pro-5g."):
        read(path, wanted)


@pytest.mark.parametrize("content", ["{", "[]", '{"about": {}}', '{"about": {}, "observed": 3}'])
def test_a_damaged_file_is_named(content: str) -> None:
    about = identity_of("host", STUDY)
    path = _kept(about)
    path.write_text(content)
    with pytest.raises(RunError, match=FILE) as caught:
        load(about)
    assert "\n" not in str(caught.value)


def test_a_file_with_impossible_numbers_is_damaged() -> None:
    about = identity_of("host", STUDY)
    path = _kept(about)
    values = json.loads(path.read_text())
    values["observed"]["int8"][0]["latency_ms"] = -3.0
    path.write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"no predictor of format 2.*nas predictor fit"):
        load(about)


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown device 'hots'.*'host'"):
        identity_of("hots", STUDY)


def test_a_phone_that_is_away_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.devices.phone.device import AdbDevice

    def away(self: AdbDevice) -> None:
        raise ConfigError(f"phone {self.serial} is not connected; connected: none")

    monkeypatch.setattr(AdbDevice, "answer", away)
    with pytest.raises(NasError, match=r"phone NOBODY is not connected"):
        identity_of("adb:NOBODY", STUDY)
