"""Results of schema 1 (until November 2026), brought to the present one.

They held findings as sentences. Those of which something is asked become codes again; the others are kept as told.
"""

import re
from typing import Any

from loadtest.judge import findings as codes

_KINDS = re.compile(r"([a-z_0-9]+) ([\d,]+)")
_SENTENCES: tuple[tuple[str, str], ...] = (
    (codes.WRONG_ANSWERS, r"(?P<wrong>[\d,]+) of (?P<requests>[\d,]+) answers were wrong"),
    (codes.NONE_CORRECT, r"no request was answered correctly \((?P<errors>.*)\)"),
    (codes.NEVER_SENT, r"overload: (?P<requests>[\d,]+) requests were never sent"),
    (codes.QUEUE_GREW, r"overload: the queue grew to (?P<waiting>[\d,]+) waiting"),
    (codes.REQUESTS_FAILED, r"(?P<failed>[\d,]+) of (?P<requests>[\d,]+) requests failed \((?P<errors>.*)\)"),
    (codes.NOT_STEADY, r"no steady state was reached"),
    (
        codes.TOO_FEW_ANSWERS,
        r"(?P<answers>[\d,]+) answers are too few for .* \(p(?P<percent>[\d.]+) needs (?P<needed>[\d,]+)\)",
    ),
    (codes.TAKEN_AGAIN, r"taken again after an invalid try: (?P<reason>.*)"),
)
_REASONS = (
    (codes.NO_FILE_DESCRIPTORS, "the client ran out of file descriptors"),
    (codes.CLIENT_CPU, "the client used"),
    (codes.SENT_LATE, "the client sent late"),
    (codes.STEAL, "the hypervisor took"),
    (codes.FOREIGN_LOAD, "other programs"),
)


def upgrade_comparison(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a comparison in the terms of schema 2.

    Args:
        document: Of schema 1.
    """
    return {
        **document,
        "schema_version": 2,
        "forward_pass": document["floor"],
        "servers": [_server(server) for server in document["servers"]],
    }


def _server(server: dict[str, Any]) -> dict[str, Any]:
    capacity = server["capacity"]
    return {
        **server,
        "faults": [_told(fault) for fault in server["faults"]],
        "capacity": capacity and {**capacity, "limits": [_told(capacity["limit"])] if capacity.get("limit") else []},
        "rounds": [
            {
                **one,
                "open_loop": _run(one["open_loop"]),
                "closed_loop": _run(one["closed_loop"]),
                "curve": [_run(run) for run in one["curve"]],
            }
            for one in server["rounds"]
        ],
    }


def _run(run: dict[str, Any]) -> dict[str, Any]:
    verdict = run["verdict"]
    windows = [
        {**window, **{name: round(window[name]) for name in ("ok", "failed", "waiting")}} for window in run["windows"]
    ]
    reasons, findings = ([_finding(text) for text in verdict[name]] for name in ("reasons", "findings"))
    return {
        **run,
        "schema_version": 2,
        "windows": windows,
        "verdict": {"valid": verdict["valid"], "reasons": reasons, "findings": findings},
    }


def _finding(text: str) -> dict[str, Any]:
    for code, form in _SENTENCES:
        if found := re.match(form, text):
            return {"code": code, "values": {name: _value(name, value) for name, value in found.groupdict().items()}}
    return _told(text)


def _value(name: str, value: str) -> codes.Value:
    if name == "errors":
        return {kind: int(count.replace(",", "")) for kind, count in _KINDS.findall(value)}
    if name == "reason":
        return next((code for code, begins in _REASONS if value.startswith(begins)), value)
    return float(value.replace(",", ""))


def _told(text: str) -> dict[str, Any]:
    return {"code": codes.TOLD, "values": {"text": text}}
