"""What GitHub and pre-commit read can be read, and runs what is there."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def read(path: str) -> Any:
    """A YAML file of the repository."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_workflow_runs_scripts_that_exist() -> None:
    """Checks, tests and images each have a job; every script is there; the jobs may read and no more."""
    workflow = read(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    scripts = {script for run in runs for script in re.findall(r"scripts/\w+", run)}
    assert scripts == {"scripts/check", "scripts/test"}
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
    assert any("docker compose build" in run for run in runs)


def test_pre_commit_runs_the_checks_of_continuous_integration() -> None:
    """One hook, and it is the script itself: the two cannot come apart."""
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    (hook,) = repository["hooks"]
    assert hook["entry"] == "scripts/check"
    assert not hook["pass_filenames"]


@pytest.mark.parametrize("form", sorted(path.name for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")))
def test_issue_forms_ask_for_something(form: str) -> None:
    """Each has a name, and fields with names of their own."""
    content = read(f".github/ISSUE_TEMPLATE/{form}")
    assert content["name"]
    assert content["description"]
    names = [field["id"] for field in content["body"]]
    assert len(names) == len(set(names)) > 2
    assert all(field["attributes"]["label"] for field in content["body"])
