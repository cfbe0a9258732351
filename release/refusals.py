"""What a pushed version keeps the next one from being: another interface, or a worse model.

Each function returns reasons, one line each; none means that nothing speaks against the push.
"""

import math
from collections.abc import Mapping
from typing import Any

Manifest = Mapping[str, Any]


def schema_changes(pushed: Manifest, candidate: Manifest) -> list[str]:
    """How what clients send, or what they read, differs: names, types, shapes and labels, and what a request may hold.

    Args:
        pushed: Manifest of the version that clients know.
        candidate: Manifest of the one that is to take its place.
    """
    reasons = []
    for side in ("inputs", "outputs"):
        before, after = ({str(one["name"]): one for one in manifest[side]} for manifest in (pushed, candidate))
        for name in before.keys() | after.keys():
            if name not in after:
                reasons.append(f"{side[:-1]} {name} is gone")
            elif name not in before:
                reasons.append(f"{side[:-1]} {name} is new")
            else:
                keys = [key for key in after[name] if before[name].get(key) != after[name][key]]
                reasons += [
                    f"{side[:-1]} {name}: {key} is {after[name][key]}, not {before[name].get(key)}" for key in keys
                ]
    if list(pushed["labels"]) != list(candidate["labels"]):
        reasons.append(f"labels: {_labels(candidate)}, not {_labels(pushed)}")
    for key in ("max_instances", "max_request_bytes"):
        if candidate[key] < pushed[key]:
            reasons.append(f"{key} is {candidate[key]:,}, less than {pushed[key]:,}")
    return reasons


def quality_drop(pushed: Manifest, candidate: Manifest, allowed: float) -> list[str]:
    """Whether the candidate is worse on its held-out examples than the pushed version.

    The reason names the standard error of an accuracy on so many examples, sqrt(p (1 - p) / n), for whoever decides
    whether the drop is one: with few examples two seeds of one training differ by more.

    Args:
        pushed: Manifest of the version that is served.
        candidate: Manifest of the one that is to take its place.
        allowed: How much worse it may be, in the quality's own unit.
    """
    before, after = pushed["quality"], candidate["quality"]
    if before["name"] != after["name"]:
        return [f"quality is told as {after['name']}, that of the pushed version as {before['name']}: not comparable"]
    drop = float(before["value"]) - float(after["value"])
    if drop <= allowed + 1e-12:  # the allowance is written with few digits
        return []
    told = f"{after['name']} {after['value']:.4f} is {drop:.4f} below the {before['value']:.4f} of the pushed version"
    error = _standard_error(after)
    examples = f"{after['examples']} held-out examples" + (f", standard error {error:.4f}" if error else "")
    enough = math.ceil(drop * 1e4 - 1e-6) / 1e4
    return [f"{told} ({examples}); --max-drop {enough:g} lets it pass"]


def _standard_error(quality: Mapping[str, Any]) -> float:
    """Of a share of right answers; 0 where the quality is no such share."""
    value, examples = float(quality["value"]), int(quality["examples"])
    return math.sqrt(value * (1 - value) / examples) if quality["name"] == "accuracy" and examples else 0.0


def _labels(manifest: Manifest) -> str:
    labels = list(manifest["labels"])
    return f"{len(labels)} ({labels[0]} to {labels[-1]})" if labels else "none"
