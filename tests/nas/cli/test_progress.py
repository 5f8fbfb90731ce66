from nas.cli import progress


def test_a_bar_that_is_no_terminals_tells_a_line_now_and_then(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "_BAR_LINE_SECONDS", -1.0)
    with progress.progress_bar("pairs checked") as report:
        report(3, 10, "b[1].png")
    assert capsys.readouterr().err == "pairs checked: 3 of 10, now b[1].png\n"


def test_a_bar_that_moves_fast_tells_nothing(capsys) -> None:
    with progress.progress_bar("pairs checked") as report:
        report(3, 10, "b.png")
        report(10, 10, "c.png")
    assert capsys.readouterr().err == ""


def test_each_stage_tells_its_first_and_its_last_step(capsys) -> None:
    with progress.stage_bars("host, quickstart") as report:
        report("operations", 1, 3)
        report("operations", 2, 3)
        report("operations", 3, 3)
        report("networks", 0, 2)
    assert capsys.readouterr().err.splitlines() == [
        "host, quickstart: operations 1 of 3",
        "host, quickstart: operations 3 of 3",
        "host, quickstart: networks 0 of 2",
    ]
