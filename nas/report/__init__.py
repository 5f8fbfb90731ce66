"""A run as one page that can be read offline, and as pictures."""

from nas.report.report_data import ReportData, gather
from nas.report.write import write_report

__all__ = ["ReportData", "gather", "write_report"]
