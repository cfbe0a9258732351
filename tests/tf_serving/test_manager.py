"""The lifecycle of versions, with a loader that a test controls."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.tf_serving.conftest import model_config
from tests.tf_serving.process import until
from tf_serving.embedded.errors import Code, ServingError
from tf_serving.embedded.manager import Manager
from tf_serving.embedded.version_lifecycle import State


class _Loaded:
    def __init__(self, version: int) -> None:
        self.version = version
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Loader:
    """Loads anything but what is in `broken`, and counts the attempts."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.attempts: list[int] = []
        self.loaded: list[_Loaded] = []

    def __call__(self, name: str, version: int, path: str) -> Any:
        """One attempt."""
        self.attempts.append(version)
        if version in self.broken:
            raise ServingError(Code.DATA_LOSS, "broken")
        self.loaded.append(_Loaded(version))
        return self.loaded[-1]


Make = Callable[..., tuple[Manager, Loader]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes managers that end with the test."""
    managers: list[Manager] = []

    def build(**options: Any) -> tuple[Manager, Loader]:
        defaults = {
            "poll_seconds": 0.02,
            "max_load_retries": 0,
            "retry_interval": 0.02,
            "allow_labels_for_unavailable": False,
        }
        loader = Loader()
        managers.append(Manager(loader, **{**defaults, **options}))
        return managers[-1], loader

    yield build
    for manager in managers:
        manager.close()


def config(*entries: str) -> Any:
    """A ModelServerConfig of these entries."""
    text = f"model_config_list {{ {''.join(entries)} }}"
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def states(manager: Manager, name: str = "m") -> dict[int, State]:
    """The state of every version; empty for a model never seen."""
    try:
        return {status.version: status.state for status in manager.status(name)}
    except ServingError:
        return {}


def folders(base: Path, *versions: int) -> Path:
    """A base path with these version folders, among others that are no versions."""
    for name in (*map(str, versions), "tmp", "1.5", "-3", "²"):
        (base / name).mkdir(parents=True, exist_ok=True)
    return base


def test_zero_poll_seconds_looks_once(make: Make, tmp_path: Path) -> None:
    """Nothing found later is loaded, until a configuration is set."""
    manager, _ = make(poll_seconds=0)
    base = folders(tmp_path / "m", 1)
    manager.wait_until_available(manager.configure(config(model_config("m", base))))
    folders(base, 2)
    time.sleep(0.2)
    assert states(manager) == {1: State.AVAILABLE}
    manager.configure(config(model_config("m", base)))
    until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END}, "the new version serves")


def test_a_failed_load_is_tried_again(make: Make, tmp_path: Path) -> None:
    """As often as asked; then its model is not available, and why is told."""
    manager, loader = make(max_load_retries=2)
    loader.broken = {1}
    new = manager.configure(config(model_config("m", folders(tmp_path / "m", 1))))
    with pytest.raises(ServingError, match="due to error: DATA_LOSS: broken"):
        manager.wait_until_available(new)
    assert loader.attempts == [1, 1, 1]
    (status,) = manager.status("m")
    assert status.state is State.END
    assert status.error is not None
    assert status.error.code is Code.DATA_LOSS


def test_a_load_that_succeeds_at_last_serves(make: Make, tmp_path: Path) -> None:
    """A version whose files arrive late is served by a later attempt."""
    manager, loader = make(max_load_retries=1000)
    loader.broken = {1}
    new = manager.configure(config(model_config("m", folders(tmp_path / "m", 1))))
    until(lambda: len(loader.attempts) > 2, "attempts")
    loader.broken = set()
    manager.wait_until_available(new)
    assert states(manager) == {1: State.AVAILABLE}


def test_a_newer_version_ends_the_attempts_at_a_broken_one(make: Make, tmp_path: Path) -> None:
    """The old one serves meanwhile, and the newest takes over without waiting for the retries."""
    manager, loader = make(max_load_retries=1, retry_interval=3600)
    base = folders(tmp_path / "m", 1)
    manager.wait_until_available(manager.configure(config(model_config("m", base))))
    loader.broken = {2}
    folders(base, 2)
    until(lambda: 2 in loader.attempts, "an attempt")
    with manager.acquire("m") as servable:
        assert servable.version == 1
    folders(base, 3)
    until(lambda: states(manager) == {3: State.AVAILABLE, 2: State.END, 1: State.END}, "the newest serves")
    assert loader.attempts == [1, 2, 3]


def test_a_version_in_use_is_closed_only_afterwards(make: Make, tmp_path: Path) -> None:
    """Unloading waits for the last handle."""
    manager, loader = make()
    base = folders(tmp_path / "m", 1)
    manager.wait_until_available(manager.configure(config(model_config("m", base))))
    with manager.acquire("m"):
        folders(base, 2)
        until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.UNLOADING}, "the old one is to go")
        assert not loader.loaded[0].closed
        with manager.acquire("m") as servable:
            assert servable.version == 2
    until(lambda: states(manager)[1] is State.END, "the old one is gone")
    assert loader.loaded[0].closed
    assert not loader.loaded[1].closed


def test_a_base_path_that_vanishes_unloads_nothing(make: Make, tmp_path: Path) -> None:
    """An unreadable folder is trouble, an empty one an order."""
    manager, _ = make()
    base = folders(tmp_path / "m", 1)
    manager.wait_until_available(manager.configure(config(model_config("m", base))))
    base.rename(tmp_path / "away")
    time.sleep(0.2)
    assert states(manager) == {1: State.AVAILABLE}
    (tmp_path / "away" / "1").rmdir()
    (tmp_path / "away").rename(base)
    until(lambda: states(manager) == {1: State.END}, "unloaded")
    with pytest.raises(ServingError, match=r"Latest\(m\)"):
        manager.acquire("m")


def test_a_model_taken_away_and_given_back(make: Make, tmp_path: Path) -> None:
    """A version that is wanted again while it goes is loaded anew, also without polling."""
    manager, loader = make(poll_seconds=0)
    both = config(model_config("m", folders(tmp_path / "m", 1)))
    manager.wait_until_available(manager.configure(both))
    with manager.acquire("m"):
        manager.configure(config())
        until(lambda: states(manager) == {1: State.UNLOADING}, "it goes")
        new = manager.configure(both)
    manager.wait_until_available(new)
    assert new == ["m"]
    assert loader.attempts == [1, 1]
    assert states(manager) == {1: State.AVAILABLE}


def test_waiting_for_a_model_ends_when_it_is_no_longer_configured(make: Make, tmp_path: Path) -> None:
    """A configuration with a path that does not exist can be replaced."""
    manager, _ = make()
    new = manager.configure(config(model_config("m", tmp_path / "nowhere")))
    waiting = threading.Thread(target=manager.wait_until_available, args=(new,))
    waiting.start()
    manager.configure(config())
    waiting.join()
    assert states(manager) == {}


@pytest.mark.parametrize("allowed", [False, True])
def test_labels(make: Make, tmp_path: Path, allowed: bool) -> None:
    """A new label may name what is not loaded only if that is allowed; one in use may never move there."""
    manager, _ = make(allow_labels_for_unavailable=allowed)
    every = "model_version_policy { all {} }"

    def labelled(number: int) -> Any:
        label = f'version_labels {{ key: "stable" value: {number} }}'
        return config(model_config("m", folders(tmp_path / "m", 1, 2), every + label))

    if not allowed:
        with pytest.raises(ServingError, match="which is not currently available for inference"):
            manager.configure(labelled(1))
        manager.wait_until_available(manager.configure(config(model_config("m", tmp_path / "m", every))))
    manager.wait_until_available(manager.configure(labelled(1)))
    with pytest.raises(ServingError, match="Request to assign label to version 9"):
        manager.configure(labelled(9))
    with manager.acquire("m", label="stable") as servable:
        assert servable.version == 1
    manager.configure(labelled(2))
    with manager.acquire("m", label="stable") as servable:
        assert servable.version == 2
