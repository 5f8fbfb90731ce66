from pathlib import Path

from nas.data.problems import Problem, Problems


def test_a_problem_that_is_reported_twice_is_told_once_and_in_order() -> None:
    problems = Problems()
    problems.warn("few frames")
    problems.error("no clips")
    problems.warn("few frames")
    assert problems.found == (Problem("warning", "few frames"), Problem("error", "no clips"))


def test_a_path_is_passed_over_once_and_the_most_frequent_kind_comes_first() -> None:
    problems = Problems()
    for path, kind in (("a", "videos"), ("b", "archives"), ("c", "archives"), ("b", "archives")):
        problems.pass_over(Path(path), kind)
    assert list(problems.passed_over.items()) == [("archives", 2), ("videos", 1)]
