"""Results of schema 2 (until November 2026), brought to the present one.

They were measured by the first method, and their numbers stay what they were: only their names change. The cost at the
ceiling, which they did not tell, follows from what they hold.
"""

import math
from collections.abc import Iterator
from typing import Any

from loadtest.judge.intervals import mean_estimate


def upgrade_comparison(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a comparison in the terms of schema 3.

    Args:
        document: Of schema 2.
    """
    return {
        **document,
        "schema_version": 3,
        "servers": [{**server, "rounds": [_round(one) for one in server["rounds"]]} for server in document["servers"]],
        "summary": [
            _row(row, list(_at_ceiling(server, document["plan"]["batch"])))
            for row, server in zip(document["summary"], document["servers"], strict=True)
        ],
    }


def _round(one: dict[str, Any]) -> dict[str, Any]:
    upgraded = {name: _run(one[name]) for name in ("open_loop", "closed_loop")}
    return {**one, **upgraded, "curve": [_run(run) for run in one["curve"]]}


def _run(run: dict[str, Any]) -> dict[str, Any]:
    requests = run["warmup_requests"]
    warmup = {"requests": requests, "duration_s": run["run"]["warmup_s"], "steady": None} if requests else None
    return {**run, "schema_version": 3, "warmup": warmup}


def _row(row: dict[str, Any], at_ceiling: list[float]) -> dict[str, Any]:
    cost = {name: None if math.isnan(value) else value for name, value in vars(mean_estimate(at_ceiling)).items()}
    return {**row, "cpu_s_per_1000_at_common_rate": row["cpu_s_per_1000"], "cpu_s_per_1000_at_ceiling": cost}


def _at_ceiling(server: dict[str, Any], batch: int) -> Iterator[float]:
    for one in server["rounds"]:
        run, usage = one["closed_loop"], one["closed_usage"]
        if run["verdict"]["valid"] and usage and usage["cpu_s"] is not None:
            yield usage["cpu_s"] / (run["requests"]["ok"] * batch) * 1000
