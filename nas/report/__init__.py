"""Reports show a run as one page that can be read offline, as pictures, and as models to ship."""

from nas.report.choice import RunFront, open_front
from nas.report.report_data import ReportData, gather
from nas.report.write import write_report

__all__ = ["ReportData", "RunFront", "gather", "open_front", "write_report"]
