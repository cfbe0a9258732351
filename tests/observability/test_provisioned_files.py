"""The files of the profile observability fit each other, the servers, and what Grafana documents."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest
import yaml

from loadtest.servers.artifact import ROOT
from loadtest.servers.server_folder import Server
from tests.observability.provisioned import DASHBOARD, FOLDER, PANELS, SCRAPES, provisioned, side_by_side

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
SERVERS = ("flask_server", "tf_serving", "torchserve")
LEGENDS = {"Flask": "flask_server", "TF Serving": "tf_serving", "TorchServe": "torchserve"}

# https://grafana.com/docs/grafana/latest/administration/provisioning/
DATA_SOURCE_KEYS = {
    *("name", "type", "access", "orgId", "uid", "url", "user", "database", "basicAuth", "basicAuthUser"),
    *("withCredentials", "isDefault", "jsonData", "secureJsonData", "version", "editable", "readOnly"),
}
PROVIDER_KEYS = {
    *("name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds"),
    *("allowUiUpdates", "options"),
}


def test_prometheus_reads_every_server_where_it_tells_its_times(servers: Mapping[str, Server]) -> None:
    """A job for each, at the name of its service, with the port and the path of its server.toml."""
    jobs = {job["job_name"]: job for job in SCRAPES["scrape_configs"]}
    assert set(jobs) == set(SERVERS)
    for name, job in jobs.items():
        times = servers[name].times
        assert times is not None
        target = f"{servers[name].compose_service}:{servers[name].ports[times.port]}"
        assert job["static_configs"] == [{"targets": [target]}]
        assert job.get("metrics_path", "/metrics") == times.path


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_accepts_the_configuration() -> None:
    """Prometheus' own check of the file."""
    command = ["promtool", "check", "config", str(FOLDER / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_data_source_is_the_prometheus_of_the_stack() -> None:
    """Its address is the service's, its keys are those that Grafana documents, and nobody changes it by hand."""
    content = provisioned("datasources")
    assert content.keys() == {"apiVersion", "datasources"}
    (source,) = content["datasources"]
    assert source.keys() <= DATA_SOURCE_KEYS
    assert (source["type"], source["access"], source["editable"]) == ("prometheus", "proxy", False)
    assert source["url"] == "http://prometheus:9090"
    assert any(port.endswith(":9090") for port in SERVICES["prometheus"]["ports"])
    assert source["jsonData"]["timeInterval"] == SCRAPES["global"]["scrape_interval"]


def test_the_dashboard_is_found_where_it_is_mounted() -> None:
    """The provider's folder and the home page are in the container what lies in the repository."""
    content = provisioned("dashboards")
    assert content.keys() == {"apiVersion", "providers"}
    (provider,) = content["providers"]
    assert provider.keys() <= PROVIDER_KEYS
    grafana = SERVICES["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    places = {target: ROOT / source for source, target in mounts.items()}
    assert sorted(one.name for one in places[provider["options"]["path"]].iterdir()) == ["serving.json"]
    assert {one.name for one in places["/etc/grafana/provisioning"].iterdir()} == {"dashboards", "datasources"}
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/serving.json"


def test_no_panel_asks_a_data_source_that_is_not_there() -> None:
    """Panels and their queries name the provisioned one, by its uid."""
    uids = {source["uid"] for source in provisioned("datasources")["datasources"]}
    for panel in PANELS:
        for asking in (panel, *panel["targets"]):
            assert asking["datasource"] == {"type": "prometheus", "uid": next(iter(uids))}


def test_panels_are_told_apart_and_do_not_cover_each_other() -> None:
    """Ids and the names of queries are unique, and so is every place of the grid, 24 columns wide."""
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names)
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or above, (one, two)


def test_every_panel_side_by_side_has_all_three_servers() -> None:
    """Each server has a line of its name, and its query asks for its own metrics."""
    own = {"flask_server": "flask_server_", "tf_serving": ":tensorflow:", "torchserve": r"\bts_"}
    assert len(side_by_side()) == 6
    for panel in side_by_side():
        shown = {LEGENDS[target["legendFormat"].partition(",")[0]] for target in panel["targets"]}
        assert shown == set(SERVERS), panel["title"]
        for target in panel["targets"]:
            server = LEGENDS[target["legendFormat"].partition(",")[0]]
            others = [prefix for name, prefix in own.items() if name != server]
            assert not any(re.search(prefix, target["expr"]) for prefix in others), target


def test_nobody_logs_in_and_nobody_but_this_machine_looks_on() -> None:
    """Grafana shows its pages to whoever reaches it, as a viewer, and has no account; both listen on loopback."""
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    for name in ("prometheus", "grafana"):
        service = SERVICES[name]
        assert service["profiles"] == ["observability"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert not service["image"].endswith("latest}")
