import platform
from importlib.metadata import version

from nas.system import environment
from nas.system.environment import processor, versions


def test_versions_are_those_of_the_packages(monkeypatch) -> None:
    versions.cache_clear()
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package"))
    try:
        assert versions() == {
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "no-such-package": "not installed",
        }
    finally:
        versions.cache_clear()


def test_the_processor_has_a_name() -> None:
    assert processor().strip() == processor() != ""
