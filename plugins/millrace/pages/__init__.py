"""Self-contained HTML reports: one file each, no scripts, no requests, fit for print.

Every value that comes from data is escaped by the templates.
"""

from millrace.pages.evaluation import evaluation_page
from millrace.pages.figures import evaluation_charts
from millrace.pages.statistics import statistics_page
from millrace.pages.validation import validation_page, validation_table

__all__ = [
    "evaluation_charts",
    "evaluation_page",
    "statistics_page",
    "validation_page",
    "validation_table",
]
