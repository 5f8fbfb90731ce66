"""What a saved output of the benchmark tool, or a saved logcat, says."""

from nas.devices.logs.report import LogReport, decode_log, parse_log, parse_output, parse_runs

__all__ = ["LogReport", "decode_log", "parse_log", "parse_output", "parse_runs"]
