# SPDX-License-Identifier: GPL-3.0-or-later
"""What the office tells, as docs/http-api.md (section Office) names it. No SQL, no HTTP."""

from office.reports.breakdown import breakdown, hours, tiles
from office.reports.figures import ROLES, jobs, labs, machines, progress, sealed, visits
from office.reports.forecasting import forecast
from office.reports.indicators import indicators
from office.reports.interest import interest
from office.reports.quality import quality
from office.reports.tables import BOM, JOB_COLUMNS, VISIT_COLUMNS, csv_header, jobs_csv, visits_csv
from office.reports.times import iso

__all__ = [
    "BOM",
    "JOB_COLUMNS",
    "ROLES",
    "VISIT_COLUMNS",
    "breakdown",
    "csv_header",
    "forecast",
    "hours",
    "indicators",
    "interest",
    "iso",
    "jobs",
    "jobs_csv",
    "labs",
    "machines",
    "progress",
    "quality",
    "sealed",
    "tiles",
    "visits",
    "visits_csv",
]
