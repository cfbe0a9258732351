"""How examples become requests."""

import json
import math

import numpy as np
import pytest

from loadtest.errors import UsageError
from loadtest.load.plan import Load
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant, Poisson
from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import Examples
from loadtest.wire.golden_target import golden_target, rest_target
from loadtest.wire.grpc.target import GrpcTarget


@pytest.fixture
def examples() -> Examples:
    """A hundred points, each with an answer of its own."""
    inputs = np.random.default_rng(1).random((100, 2), dtype=np.float32)
    return Examples({"point": inputs}, {"same": inputs.astype(np.float64)}, 1e-6, "points")


def test_bodies_tell_every_float32(examples: Examples) -> None:
    """Read as double precision and rounded to single precision, a body gives the very same numbers."""
    read = [json.loads(body)["instances"] for body in examples.bodies(7)]
    assert [len(instances) for instances in read] == [7] * 14 + [2]
    np.testing.assert_array_equal(np.concatenate(read).astype(np.float32), examples.inputs["point"])


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_each_request_has_its_own_answer(examples: Examples, batch: int) -> None:
    """The answer of another request is refused, whether the batches divide the examples or not."""
    expectation = examples.expectation(batch)
    outputs = examples.outputs["same"]
    answers = [json.dumps({"predictions": outputs[rows].tolist()}).encode() for rows in examples.batches(batch)]
    assert len(answers) == len(expectation.predictions["same"])
    assert all(expectation.matches(number, answer) for number, answer in enumerate(answers))
    assert not expectation.matches(0, answers[1])


@pytest.mark.parametrize(
    ("requests", "batch", "instances"),
    [(10, 1, 10), (10, 3, 30), (10_000, 1, 100), (math.inf, 7, 98), (0, 5, 5), (1, 100, 100)],
)
def test_no_more_are_taken_than_a_run_sends(examples: Examples, requests: float, batch: int, instances: int) -> None:
    """And every request of them is a full one."""
    taken = examples.for_requests(requests, batch)
    assert taken.size == instances
    assert {len(rows) for rows in taken.batches(batch)} == {batch}


def test_more_instances_than_examples_are_refused(examples: Examples) -> None:
    """With what there is."""
    with pytest.raises(UsageError, match="from 1 to 100, points, not 101"):
        examples.for_requests(1, 101)


@pytest.mark.parametrize(
    ("load", "requests"),
    [
        (Load(Constant(100.0, 4.0)), 480),
        (Load(Poisson(100.0, 4.0), processes=2), 480),
        (Load(Replay((0.0, 1.0, 2.0, 4.0))), 12),
        (Load(Closed(4.0)), math.inf),
    ],
    ids=str,
)
def test_a_load_knows_how_many_requests_it_sends(load: Load, requests: float) -> None:
    """Four standard deviations more than the mean; a closed loop cannot know."""
    assert load.requests == requests


def test_a_load_draws_hardly_ever_more() -> None:
    """Counted over schedules of many seeds."""
    plan = Poisson(50.0, 2.0)
    drawn = [sum(1 for _ in plan.times(seed)) for seed in range(500)]
    assert max(drawn) <= Load(plan).requests < 1.5 * np.mean(drawn)


def test_load_is_other_inputs_than_the_golden_ones(artifact: Artifact) -> None:
    """Over both wire formats, each request another; none of them is among those that parity asks."""
    rest = rest_target("http://127.0.0.1:9/", artifact.load)
    call = "grpc://127.0.0.1:9/tensorflow.serving.PredictionService/Predict"
    grpc = golden_target("grpc", call, artifact.workload, artifact.load)
    assert isinstance(grpc, GrpcTarget)
    assert rest.payloads == grpc.payloads == len(set(rest.requests)) == len(set(grpc.bodies)) == artifact.load.size
    assert not set(artifact.load.bodies()) & set(artifact.golden.bodies())
    assert not set(artifact.load.bodies()) & set(artifact.fresh.bodies())


@pytest.fixture
def sentences() -> Examples:
    """Sixty sequences of three lengths, in two inputs, answered by two outputs of which one is no number."""
    random = np.random.default_rng(2)
    lengths = random.choice([2, 3, 5], 60)
    ids = random.integers(1, 1000, (60, 5)) * (np.arange(5) < lengths[:, None])
    mask = (np.arange(5) < lengths[:, None]).astype(np.int64)
    outputs = {"sum": ids.sum(axis=1, dtype=np.float64)[:, None], "kind": np.where(lengths > 2, "long", "short")}
    return Examples({"ids": ids, "mask": mask}, outputs, 1e-6, "sequences", lengths, {"ids": 1, "mask": 1})


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_a_request_has_one_length_and_no_padding(sentences: Examples, batch: int) -> None:
    """Every example once, in objects that hold each input; requests that are not full come last."""
    sizes, seen = [], []
    for rows, body in zip(sentences.batches(batch), sentences.bodies(batch), strict=True):
        instances = json.loads(body)["instances"]
        assert len({len(one["ids"]) for one in instances} | {len(one["mask"]) for one in instances}) == 1
        assert [len(one["ids"]) for one in instances] == sentences.lengths[rows].tolist()  # type: ignore[index]
        assert all(set(one["mask"]) == {1} for one in instances)
        assert [sum(one["ids"]) for one in instances] == sentences.outputs["sum"][rows, 0].tolist()
        sizes.append(len(instances))
        seen += rows.tolist()
    assert sorted(seen) == list(range(60))
    assert sizes == sorted(sizes, key=lambda size: size < batch)
    taken = sentences.for_requests(5, batch)
    assert [len(rows) for rows in taken.batches(batch)] == [batch] * 5


def test_one_length_is_the_commonest(sentences: Examples) -> None:
    """For what compares requests with each other; and any number of them can be had."""
    assert sentences.lengths is not None
    values, counts = np.unique(sentences.lengths, return_counts=True)
    one = sentences.of_one_length()
    assert one.size == counts.max()
    assert set(one.lengths.tolist()) == {values[counts.argmax()]}  # type: ignore[union-attr]
    assert len(sentences.many(100).bodies(100)) == 1


def test_objects_are_held_against_every_output(sentences: Examples) -> None:
    """Numbers within the tolerance, anything else exactly; a missing, further or misplaced output is wrong."""
    check = sentences.expectation(1)
    right = {"sum": sentences.outputs["sum"][0].tolist(), "kind": str(sentences.outputs["kind"][0])}
    other = {"long": "short", "short": "long"}[right["kind"]]

    def judged(*predictions: object) -> bool:
        return check.matches(0, json.dumps({"predictions": predictions}).encode())

    assert judged(right)
    assert judged({**right, "sum": [right["sum"][0] + 1e-7]})
    assert not judged({**right, "sum": [right["sum"][0] + 1e-5]})
    assert not judged({**right, "sum": right["sum"][0]})
    assert not judged({**right, "kind": other})
    assert not judged({**right, "kind": 3})
    assert not judged({**right, "kind": [right["kind"]]})
    assert not judged({**right, "more": 1})
    assert not judged({"sum": right["sum"]})
    assert not judged(right, right)
    assert not judged(right["sum"])
    assert not judged()
