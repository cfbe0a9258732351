"""One table of bad requests against every server: a 4xx with a reason, and right answers afterwards."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from loadtest.launch.launcher import LocalLauncher, running
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import json_body
from loadtest.servers.server_folder import Server

SERVERS = ("flask_server", "tf_serving", "torchserve")

Instance = dict[str, list[int]]


def _sentence(length: int, **changed: Any) -> dict[str, Any]:
    return {"input_ids": [101, *[2_000] * (length - 2), 102], "attention_mask": [1] * length} | changed


SENTENCES: dict[str, list[Any]] = {
    "bare values for an object": [[101, 2_000, 102]],
    "a wrong key": [{"ids": [101, 102], "attention_mask": [1, 1]}],
    "a key too many": [_sentence(4, token_type_ids=[0] * 4)],
    "a missing input": [{"input_ids": [101, 102]}],
    "an instance without inputs": [_sentence(4), {}],
    "too short": [_sentence(2, input_ids=[101], attention_mask=[1])],
    "beyond the longest": [_sentence(257)],
    "an id beyond the vocabulary": [_sentence(4, input_ids=[101, 30_522, 2_000, 102])],
    "a negative id": [_sentence(4, input_ids=[101, -1, 2_000, 102])],
    "an id beyond 64 bits": [_sentence(4, input_ids=[101, 2**63, 2_000, 102])],
    "an id that is not whole": [_sentence(4, input_ids=[101, 2_000.5, 2_000, 102])],
    "ids as text": [_sentence(4, input_ids=["101", "2000", "2000", "102"])],
    "ids as booleans": [_sentence(4, input_ids=[True, True, True, True])],
    "no ids": [_sentence(4, input_ids=[], attention_mask=[])],
    "null for ids": [_sentence(4, input_ids=None)],
    "nested ids": [_sentence(4, input_ids=[[101, 2_000, 2_000, 102]])],
    "a mask that is not 0 or 1": [_sentence(4, attention_mask=[1, 1, 2, 1])],
    "a negative mask": [_sentence(4, attention_mask=[1, 1, -1, 1])],
    "inputs of different lengths": [_sentence(4, attention_mask=[1, 1, 1])],
    "instances of different lengths": [_sentence(4), _sentence(5)],
    "too many instances": [_sentence(2)] * 65,
}


def _refused(server: RunningServer, body: bytes) -> None:
    """It is a 4xx with JSON that says why, in one line."""
    answer = server.predict(body, timeout_s=60)  # the largest body takes seconds to read, and more on a busy machine
    assert 400 <= answer.status < 500, (answer.status, answer.fault, answer.body[:300])
    told = json.loads(answer.body)
    reason = told.get("error") or told.get("message")
    assert isinstance(reason, str)
    assert len(reason) > 10
    assert "Traceback" not in reason


def _is_right(server: RunningServer) -> bool:
    return server.is_right(server.predict_example())


@pytest.fixture(scope="module")
def encoders(minilm: Artifact, servers: Mapping[str, Server]) -> Iterator[dict[str, RunningServer]]:
    """All servers with the text encoder."""
    with running(LocalLauncher(minilm, UNPINNED, any_port=True), [servers[key] for key in SERVERS]) as all_of_them:
        yield dict(zip(SERVERS, all_of_them, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", SENTENCES)
def test_a_bad_sentence_is_refused(encoders: dict[str, RunningServer], server: str, case: str) -> None:
    """By each server, which goes on answering rightly."""
    _refused(encoders[server], json.dumps({"instances": SENTENCES[case]}).encode())
    assert _is_right(encoders[server])


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_what_is_nearly_bad_is_answered(encoders: dict[str, RunningServer], server: str) -> None:
    """The shortest and the longest sequence, the last id of the vocabulary, a mask that lets nothing count."""
    for instance in (
        _sentence(2),
        _sentence(256),
        _sentence(4, input_ids=[101, 30_521, 0, 102]),
        _sentence(4, attention_mask=[0, 0, 0, 0]),
    ):
        answer = encoders[server].predict(json.dumps({"instances": [instance] * 3}).encode())
        assert answer.status == 200, answer.body[:300]
        assert np.array(answer.json["predictions"]).shape == (3, 384)


@pytest.fixture(scope="module")
def classifiers(imagenet: Artifact, servers: Mapping[str, Server]) -> Iterator[dict[str, RunningServer]]:
    """All servers with the image classifier."""
    with running(LocalLauncher(imagenet, UNPINNED, any_port=True), [servers[key] for key in SERVERS]) as all_of_them:
        yield dict(zip(SERVERS, all_of_them, strict=True))


Alter = Callable[[np.ndarray[Any, Any]], Any]

IMAGES: dict[str, Alter] = {
    "uint8 where float32 was meant": lambda image: np.round(image * 255).astype(np.uint8),
    "below zero": lambda image: image * 2 - 1,
    "grey": lambda image: image[..., 0],
    "channels first": lambda image: image.transpose(0, 3, 1, 2),
    "too small": lambda image: image[:, :223],
    "not an image": lambda image: image[:, 0, 0, 0],
    "text": lambda image: image.astype(str),
    "booleans": lambda image: image > 0.5,
}


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", IMAGES)
def test_a_bad_image_is_refused(classifiers: dict[str, RunningServer], server: str, case: str) -> None:
    """By each server, which goes on answering rightly."""
    image = next(iter(classifiers[server].artifact.golden.request(np.array([0])).values()))
    _refused(classifiers[server], json_body({"image": IMAGES[case](image)}))
    assert _is_right(classifiers[server])


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_as_many_images_as_are_allowed(classifiers: dict[str, RunningServer], server: str) -> None:
    """So many are answered rightly in one request, written with all the digits of a double; one more is refused."""
    most = classifiers[server].artifact.max_instances
    examples = classifiers[server].artifact.golden.many(most + 1)
    (body,) = examples.part(0, most).bodies(most)
    answer = classifiers[server].predict(body, timeout_s=60)
    assert answer.status == 200, answer.body[:300]
    assert examples.part(0, most).expectation(most).matches(0, answer.body)
    (body,) = examples.bodies(most + 1)
    _refused(classifiers[server], body)
