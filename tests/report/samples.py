"""The sample result: a real one, made by the command that stands in it.

It was trimmed afterwards, and nothing in it was changed otherwise: of the load curve four of six shares are left, of
the time lines those of the open-loop rounds, and of paths what lies below the project. The peak memory of the server
with an invalid closed-loop run was summarised anew, since that rule is younger than the result.

Beside it lies the setup.json of `loadtest setup --repeat 5`, as it was written; what it says since of stand-ins and of
programs was added.
"""

import copy
from dataclasses import replace
from pathlib import Path

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.summary import summarise
from loadtest.report.reading import Document, Results
from loadtest.servers.forward_pass import ForwardPassTime

SAMPLE = Path(__file__).with_name("data") / "result.json"
SETUP = SAMPLE.with_name("setup.json")


def several(document: Document) -> Results:
    """The sample as a result of several: a light and a heavy model, the light one with two batch sizes.

    A further one was not measured. Only names, batch sizes and the times of the forward pass are others.
    """
    models = [("light", 1, 0.1), ("light", 8, 0.4), ("heavy", 1, 0.5)]
    comparisons = [_named(document.comparison, *model) for model in models]
    documents = [Document(one, document.setup if one.workload.name == "light" else None) for one in comparisons]
    return Results(documents, {"huge": "no server could be measured"})


def _named(comparison: ComparisonResult, model: str, batch: int, forward_ms: float) -> ComparisonResult:
    found = copy.deepcopy(comparison)
    found.workload = replace(found.workload, name=model)
    found.plan = replace(found.plan, batch=batch)
    found.forward_pass = [
        ForwardPassTime(runtime, batch, 100, forward_ms, 2 * forward_ms) for runtime in ("torch", "tensorflow")
    ]
    found.summary = summarise(found.servers, batch)
    return found
