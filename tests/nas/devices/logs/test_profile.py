"""Operation profiles: separated by tabs, commas or spaces; read whole, or the rest is told."""

from __future__ import annotations

import pytest

from nas.devices.delegate import Delegate
from nas.devices.logs import LogReport, parse_log
from nas.devices.placement import join
from nas.tflite.file import Operation

OPERATIONS = [
    ("CONV_2D", "[down/conv]:0"),
    ("Convolution (NHWC, QC8) IGEMM", "Delegate/Convolution (NHWC, QC8) IGEMM:0"),
    ("Fully Connected (NC, F32) GEMM 4", "Delegate/Fully Connected (NC, F32) GEMM 4:1"),
    ("TfLiteXNNPackDelegate", "[a/b, c d, e;f 1, 2]:31"),
    ("TRANSPOSE_CONV", "[up/a, up/b]:7"),
]
EXPECTED = [
    ("CONV_2D", 0, "down/conv", False),
    ("Convolution (NHWC, QC8) IGEMM", None, "Delegate/Convolution (NHWC, QC8) IGEMM", True),
    ("Fully Connected (NC, F32) GEMM 4", None, "Delegate/Fully Connected (NC, F32) GEMM 4", True),
    ("TfLiteXNNPackDelegate", 31, "a/b, c d, e;f 1, 2", False),
    ("TRANSPOSE_CONV", 7, "up/a, up/b", False),
]
COLUMNS = ["first", "avg ms", "%", "cdf%", "mem KB", "times called"]
RUN_ORDER = "============================== Run Order =============================="
SUMMARY = "============================== Summary by node type =============================="


def table(separator: str, columns: list[str] = COLUMNS, title: str = RUN_ORDER) -> list[str]:
    """A profile with one of the tool's separators; the tool itself prints tabs or ", "."""
    csv = "," in separator
    heads = ["node type", *columns, "Name"]
    heading = (
        ", ".join(heads).replace("avg ms", "avg_ms")
        if csv
        else separator.join(f"[{head}]" for head in heads)
    )
    figures = {"start": "12.5", "first": "0.4", "avg ms": "0.25", "mem KB": "0.000"}
    cells = [figures.get(name, "1" if name == "times called" else "20.5%") for name in columns]
    body = [separator.join([kind, *cells, name]) for kind, name in OPERATIONS]
    lead = separator if separator.strip(" ,") == "\t" or not csv else ""
    return [title, lead + heading, *(lead + row for row in body), ""]


def read(lines: list[str]) -> LogReport:
    heading = "Operator-wise Profiling Info for Regular Benchmark Runs:"
    return parse_log("\n".join(["STARTING!", heading, *lines]) + "\n")


def shown(report: LogReport) -> list[tuple[str, int | None, str, bool]]:
    return [(r.node_type, r.node, r.name, r.inside) for r in report.benchmark.profile]


@pytest.mark.parametrize("separator", ["\t", "\t      ", "    ", "   ", ", ", ","])
@pytest.mark.parametrize("columns", [COLUMNS, ["start", *COLUMNS]])
def test_every_separator(separator: str, columns: list[str]) -> None:
    found = read(table(separator, columns))
    assert shown(found) == EXPECTED
    assert [row.average_ms for row in found.benchmark.profile] == [0.25] * 5
    assert found.benchmark.unread_profile == ()


def test_rows_of_a_logcat_and_of_a_quotation() -> None:
    for prefix in ("> ", "01-02 03:04:05.678  11  11 I tflite  : ", "2026-11-28T10:00:00Z "):
        assert shown(read([prefix + line for line in table("\t  ")])) == EXPECTED


def test_blank_lines_between_rows() -> None:
    lines = [part for line in table("\t") for part in (line, "")]
    assert shown(read(lines)) == EXPECTED


def test_what_is_no_row_is_told() -> None:
    lines = table("    ")
    lines.insert(4, "WARNING: thermal throttling")
    lines[6] = lines[6].replace("0.25", "n/a")
    found = read(lines)
    assert len(found.benchmark.profile) == 4
    assert found.to_dict()["unread_profile_lines"] == 2
    assert any(
        "2 lines of the profile could not be read, first: thermal" in text
        for text in found.warnings
    )


def test_the_summary_by_type() -> None:
    lines = [SUMMARY, "[Node type]   [count]  [avg ms]  [avg %]  [cdf %]  [mem KB] [times called]"]
    lines += ["Convolution (NHWC, QC8) IGEMM   12   0.4   50.0%   50.0%   0.0   12"]
    lines += ["QUANTIZE   1   0.2   25.0%   75.0%   0.0   1", ""]
    found = read([*table("\t"), "Number of nodes executed: 5", *lines])
    assert found.benchmark.profile_summary == {"Convolution (NHWC, QC8) IGEMM": 12, "QUANTIZE": 1}
    assert shown(found) == EXPECTED


def test_the_initialisation_and_other_subgraphs_are_not_the_profile() -> None:
    init = ["Profiling Info for Benchmark Initialization:", RUN_ORDER, table("\t")[1]]
    init += ["\tModifyGraphWithDelegate\t5.0\t5.0\t60.0%\t60.0%\t0.0\t1\tModifyGraphWithDelegate/0"]
    init += ["\tAllocateTensors\t3.0\t3.0\t40.0%\t100.0%\t0.0\t1\tAllocateTensors/0", ""]
    only = parse_log("\n".join(["STARTING!", *init]) + "\n")
    assert only.benchmark.profile == ()
    assert only.benchmark.delegation is None
    main = ["Primary graph (name: main) profile:", *table("\t")]
    other = ["Subgraph (index: 1, name: while_body) profile:", *table("\t")[:3], ""]
    inside = ["Delegate internal:", *table("\t")[:4], ""]
    assert shown(parse_log("\n".join(["STARTING!", *init, *main, *other, *inside]))) == EXPECTED


def test_the_table_of_litert() -> None:
    title = "=" * 69 + " Run Order " + "=" * 70
    heading = "[node type] [start] [first] [avg ms] [%] [cdf%] [mem KB] [times called]   [Name]"
    lines = [title, heading]
    lines += ["  CONV_2D 0.000 4.269 4.250 10.1% 10.1% 0.000 10   [Builtin]:3"]
    lines += [
        "  Delegate/Convolution (NHWC, F32) 1.0 2.0 2.1 5.0% 15.0% 0.000 10   [Delegate]:0",
        "",
    ]
    found = parse_log(
        "\n".join(["INFO: STARTING!", *lines, "", "=" * 60 + " Delegate Statistics " + "=" * 60])
    )
    assert shown(found) == [
        ("CONV_2D", 3, "", False),
        ("Delegate/Convolution (NHWC, F32)", None, "", True),
    ]


def test_long_names_are_read_in_passing() -> None:
    """Not timed: with the square of the length it would not end within a test run."""
    lines = table("\t")[:2]
    long = [":1" * 400_000, "a, " * 200_000, "1 " * 200_000]
    lines += [f"\tCONV_2D\t0.4\t0.2\t5%\t5%\t0\t1\t[{name}x]:3" for name in long]
    found = read(lines)
    assert [row.node for row in found.benchmark.profile] == [3, 3, 3]
    assert [len(row.name) for row in found.benchmark.profile] == [800_001, 600_001, 400_001]


def test_a_delegates_own_numbers_are_not_the_files(unet_operations: list[Operation]) -> None:
    """Rows inside a delegate are counted from 0, as the file's operations are."""
    found = join(unet_operations, read(table("\t")), Delegate("gpu"))
    assert {row.accelerator for row in found} == {None}
