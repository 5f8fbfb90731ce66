import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.envelope import data_of


def _nas(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", "from nas.cli.app import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", **environment},
        timeout=600,
        check=False,
    )


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv=['nas','--help']\n"
        "from nas.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy={'tensorflow','ray','tf_keras','optuna','plotly','matplotlib','pandas','skimage'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for command in ("search", "studies", "pareto", "report", "export", "describe", "measure"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("name", "conv", "profiler"),
    [
        ("unet-resizebilinear-relu", 255.69, 255.93),
        ("unet-transposeconv-relu", 237.76, 238.03),
        ("unet-depthtospace-relu", 222.25, 222.49),
        ("fpn", 250.19, 250.44),
    ],
)
def test_describe(name: str, conv: float, profiler: float) -> None:
    done = _nas("describe", name, "--size", "1280x720", "--json")
    document = data_of(done.stdout, "describe")
    assert document["gmacs_conv"] == pytest.approx(conv, abs=0.005)
    assert document["gmacs_profiler"] == pytest.approx(profiler, abs=0.005)
    assert sum(layer["parameters"] for layer in document["layers"]) == document["parameters"]
    assert sum(layer["gmacs_conv"] for layer in document["layers"]) == pytest.approx(
        document["gmacs_conv"]
    )
    assert done.stderr == ""


def test_describe_reads_a_file_and_prints_a_table(tmp_path: Path) -> None:
    from search_spaces import UNet

    path = tmp_path / "network.json"
    path.write_text(json.dumps(UNet(widths=(8, 16)).to_dict()))
    done = _nas("describe", str(path), "--size", "64x64", NO_COLOR="1")
    assert "down0_conv1" in done.stdout
    assert "\x1b[" not in done.stdout


def test_studies() -> None:
    listed = data_of(_nas("studies", "--json").stdout, "studies")
    assert "quickstart" in [study["name"] for study in listed]
    assert "quickstart" in _nas("studies").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("search", "quickstrat"), 2, "unknown study 'quickstrat'. Did you mean 'quickstart'?"),
        (("search", "none.py"), 2, "none.py is no file"),
        (("search", "quickstart", "--device", "hots"), 2, "unknown device 'hots'. Did you mean"),
        (("search", "quickstart", "--size", "640"), 2, "expected WIDTHxHEIGHT"),
        (("search", "quickstart", "--size", "642x360"), 2, "640x360 and 644x360"),
        (("search", "quickstart", "--constraint", "psnr"), 2, "expected METRIC<=NUMBER"),
        (("search", "quickstart", "--data", "reds:/nowhere"), 3, "/nowhere"),
        (("describe", "unet-resizebilinear-rely"), 2, "Did you mean 'unet-resizebilinear-relu'?"),
        (("describe", "unet-resizebilinear-relu", "--size", "1281x720"), 2, "1280x720"),
        (("describe", "nothing.json"), 2, "nothing.json can't be read"),
        (("pareto", "nowhere"), 4, "no run"),
        (("measure", "nothing.tflite"), None, "nothing.tflite"),
        (("data", "check", "fotos"), 2, "Did you mean 'photos'?"),
    ],
)
def test_bad_input_is_one_line_and_a_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int | None, message: str
) -> None:
    out = ("--out", str(tmp_path / "run")) if arguments[0] == "search" else ()
    done = _nas(*arguments, *out)
    assert done.returncode == code if code else done.returncode > 0
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_users_study_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    for text, message in (
        ("STUDY = 3", "no value STUDY of type nas.study.Study, but 3"),
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ):
        path.write_text(text)
        done = _nas("search", str(path))
        assert done.returncode == 2
        assert message in done.stderr


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"this is not a model" * 10)
    done = _nas("measure", str(path))
    assert done.returncode > 0
    assert "model.tflite" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (["search", "quickstart", "--ray"], ["search", "quickstart", "--ray", "local"]),
        (["search", "--ray", "quickstart"], ["search", "--ray", "local", "quickstart"]),
        (["search", "--ray", "my.py"], ["search", "--ray", "local", "my.py"]),
        (["search", "my.py", "--ray", "--seed"], ["search", "my.py", "--ray", "local", "--seed"]),
        (["search", "my.py", "--ray", "a:6379"], ["search", "my.py", "--ray", "a:6379"]),
        (["search", "my.py", "--ray", "there"], ["search", "my.py", "--ray", "there"]),
    ],
)
def test_ray_with_and_without_an_address(given: list[str], understood: list[str]) -> None:
    from nas.cli.app import with_addresses

    assert with_addresses(given) == understood


def test_quiet_leaves_the_result_and_the_error(tmp_path: Path) -> None:
    from tests.helpers.fake_run import make_run

    run = make_run(tmp_path / "run", 20)
    loud = _nas("pareto", str(run.path))
    assert "on the front" in loud.stderr
    for words in (("--quiet", "pareto", str(run.path)), ("pareto", str(run.path), "--quiet")):
        done = _nas(*words)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", loud.stdout)
    wrong = _nas("pareto", str(tmp_path), "--quiet")
    assert wrong.returncode == 4
    assert "is no run's folder" in wrong.stderr
