"""Results of schema 3 (until November 2026), brought to the present one.

They held one comparison, and called the figure that says how good the model is an accuracy whatever it was.
"""

from typing import Any

from loadtest.judge.comparison_result import comparison_name
from loadtest.judge.result_file import KIND


def upgrade_comparison(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a comparison in the terms of schema 4.

    Args:
        document: Of schema 3.
    """
    workload = document["workload"]
    comparison = {
        **{name: value for name, value in document.items() if name not in ("kind", "schema_version")},
        "workload": {
            **{name: value for name, value in workload.items() if name != "accuracy"},
            "quality": workload.get("quality", "accuracy"),
            "quality_value": workload["accuracy"],
        },
    }
    return {
        "kind": KIND,
        "schema_version": 4,
        "comparisons": [comparison],
        "planned": [comparison_name(workload["name"], document["plan"]["batch"])],
    }
