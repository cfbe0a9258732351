"""The service's description of itself, and requests that schemathesis makes up from it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from flask_server.openapi import openapi_document
from flask_server.predict_body import Interface
from flask_server.predictor import BuiltModel
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import request
from tests.flask_server.bodies import IMAGES, SENTENCES, images, sentences


@pytest.fixture(scope="module")
def server(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """The service with digits, as its server.toml starts it."""
    running = start_local(servers["flask_server"], artifact, UNPINNED, any_port=True)
    yield running
    running.stop()


def described(interface: Interface) -> dict[str, Any]:
    """The schema of an instance of a model, in the description of a service that serves it."""
    model = BuiltModel(Path(), "made_up", 3, replace(interface, outputs=interface.inputs), 1000, {})
    document = openapi_document(model, most_bytes=999)
    assert "At most 4 instances and 999 bytes" in json.dumps(document)
    content = document["paths"]["/v1/models/made_up:predict"]["post"]["requestBody"]["content"]
    found: dict[str, Any] = content["application/json"]["schema"]
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def allows(schema: Mapping[str, Any], instance: object) -> bool:
    """Whether the description allows a request of one instance."""
    return bool(jsonschema.Draft202012Validator(schema).is_valid({"instances": [instance]}))


def test_a_picture_is_described() -> None:
    """One input: bare lists of just its shape, of numbers within its type."""
    schema, image = described(IMAGES), images()[0].tolist()
    assert allows(schema, image)
    for wrong in (image[:1], [image], [*image, image[0]], [image[0], [1, 2, "3"]], [image[0], [1, 2, 1e39]], 7):
        assert not allows(schema, wrong)


def test_a_sentence_is_described() -> None:
    """Several inputs: objects with exactly these, of lengths and values within their limits, each of its type."""
    schema = described(SENTENCES)
    one = {name: array[0].tolist() for name, array in sentences().items()}
    assert allows(schema, one)
    for wrong in (
        {"ids": [1]}, {"ids": [1] * 6}, {"ids": [100, 1]}, {"ids": [-1, 1]}, {"ids": [0.5, 1]}, {"mask": [2, 1, 1]},
        {"loud": 1}, {"author": 7}, {"more": 1},
    ):  # fmt: skip
        assert not allows(schema, one | wrong)
    assert not allows(schema, {name: value for name, value in one.items() if name != "author"})


def test_the_service_keeps_its_own_description(server: LocalServer, artifact: Artifact) -> None:
    """Every golden request and its answer are what the description says."""
    document = request(server.host, server.ports["rest"], "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert "401" not in json.dumps(document), "it asks for no token"
    predict = document["paths"]["/v1/models/digits:predict"]["post"]
    asked = jsonschema.Draft202012Validator(predict["requestBody"]["content"]["application/json"]["schema"])
    answered = jsonschema.Draft202012Validator(predict["responses"]["200"]["content"]["application/json"]["schema"])
    for body in artifact.bodies(16):
        asked.validate(json.loads(body))
        answered.validate(server.predict(body).json)
    assert not answered.is_valid({"predictions": np.zeros((1, 9)).tolist()})


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_requests_that_are_made_up(server: LocalServer, mode: schemathesis.GenerationMode) -> None:
    """No fault of the service, and no answer but those that it describes; what its description forbids is refused."""
    described = schemathesis.openapi.from_url(f"http://{server.host}:{server.ports['rest']}/openapi.json")
    operations = [found.ok() for found in described.get_all_operations() if isinstance(found, Ok)]
    assert {one.label for one in operations} == {
        "POST /v1/models/digits:predict",
        "GET /v1/models/digits",
        "GET /healthz",
    }

    if mode is schemathesis.GenerationMode.NEGATIVE:
        operations = [one for one in operations if one.body]  # nothing can be wrong about the others

    @settings(
        max_examples=30, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.one_of([one.as_strategy(generation_mode=mode) for one in operations]))
    def ask(case: Any) -> None:
        # A model may have no finite answer to numbers at the edge of float32, so a body that is allowed may be a 400.
        case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])

    ask()
    assert server.is_right(server.predict_example())
