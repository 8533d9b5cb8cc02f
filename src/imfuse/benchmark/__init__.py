"""Benchmarks: models and external results on data sets, under one convention, to tables, figures and a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.benchmark.efficiency import measure_models
    from imfuse.benchmark.figure import Detail, Row, parse_row, write_figure
    from imfuse.benchmark.plan import Folders, ModelEntry, Plan, make_plan, parse_models, read_settings
    from imfuse.benchmark.published import PublishedTable, get_published, list_published
    from imfuse.benchmark.report import write_report
    from imfuse.benchmark.results import (
        ConventionUsed,
        DataResults,
        ExternalResults,
        MetricUsed,
        ModelUsed,
        PairFiles,
        Results,
        ScoredPicture,
        SignificanceUsed,
        WeightsUsed,
        read_results,
    )
    from imfuse.benchmark.runner import run_benchmark
    from imfuse.benchmark.tables import write_tables
    from imfuse.benchmark.weights_check import WeightsCheck, check_weights

__all__ = [
    "ConventionUsed",
    "DataResults",
    "Detail",
    "ExternalResults",
    "Folders",
    "MetricUsed",
    "ModelEntry",
    "ModelUsed",
    "PairFiles",
    "Plan",
    "PublishedTable",
    "Results",
    "Row",
    "ScoredPicture",
    "SignificanceUsed",
    "WeightsCheck",
    "WeightsUsed",
    "check_weights",
    "get_published",
    "list_published",
    "make_plan",
    "measure_models",
    "parse_models",
    "parse_row",
    "read_results",
    "read_settings",
    "run_benchmark",
    "write_figure",
    "write_report",
    "write_tables",
]

_MODULES = {
    "efficiency": ("measure_models",),
    "figure": ("Detail", "Row", "parse_row", "write_figure"),
    "plan": ("Folders", "ModelEntry", "Plan", "make_plan", "parse_models", "read_settings"),
    "published": ("PublishedTable", "get_published", "list_published"),
    "report": ("write_report",),
    "results": ("ConventionUsed", "DataResults", "ExternalResults", "MetricUsed", "ModelUsed", "PairFiles", "Results",
                "ScoredPicture", "SignificanceUsed", "WeightsUsed", "read_results"),
    "runner": ("run_benchmark",),
    "tables": ("write_tables",),
    "weights_check": ("WeightsCheck", "check_weights"),
}  # fmt: skip
_HOMES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
