"""Reading saved outputs of the benchmark tools, and saved logcats."""

from nas.devices.logs.report import LogReport, decode_log, parse_log, parse_output, parse_runs

__all__ = ["LogReport", "decode_log", "parse_log", "parse_output", "parse_runs"]
