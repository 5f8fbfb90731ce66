from pathlib import Path

import platformdirs
import pytest

from nas.system.cache import CACHE_VARIABLE, LOCK_VARIABLE, cache_folder, lock_folder


@pytest.mark.parametrize(
    ("variable", "folder"), [(CACHE_VARIABLE, cache_folder), (LOCK_VARIABLE, lock_folder)]
)
def test_a_folder_is_the_one_of_its_own_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, folder: object
) -> None:
    assert callable(folder)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "other"))
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "other"))
    monkeypatch.setenv(variable, str(tmp_path / "own"))
    assert folder() == tmp_path / "own"


@pytest.mark.parametrize("value", ["", None])
def test_without_a_variable_it_is_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    for variable in (CACHE_VARIABLE, LOCK_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert cache_folder() == lock_folder() == platformdirs.user_cache_path("portable-nas")
