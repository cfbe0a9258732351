"""What is provisioned for the profile observability, as the tests read it."""

import json
from pathlib import Path
from typing import Any

import yaml

from loadtest.servers.artifact import ROOT

FOLDER = ROOT / "containers" / "observability"
SCRAPES: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana/dashboards/serving.json").read_text(encoding="utf-8"))
PROVISIONING = FOLDER / "grafana" / "provisioning"
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def side_by_side() -> list[dict[str, Any]]:
    """The panels above the second row: those with a line of every server."""
    rows = [panel["gridPos"]["y"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    return [panel for panel in PANELS if panel["gridPos"]["y"] < sorted(rows)[1]]


def provisioned(kind: str) -> dict[str, Any]:
    """The one file of a kind, ``datasources`` or ``dashboards``."""
    (path,) = sorted(Path(PROVISIONING / kind).iterdir())
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
