"""The lifecycle of models: found in a folder, loaded, served, replaced, unloaded after the last request."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.servable import Servable
from tf_serving.embedded.version_folders import aspired_versions
from tf_serving.embedded.version_lifecycle import ServedModel, State, Version, VersionStatus

log = logging.getLogger(__name__)

Loader = Callable[[str, int, str], Servable]


class Handle:
    """A version in use by one request; it stays loaded inside the `with` block."""

    def __init__(self, manager: "Manager", version: Version, servable: Servable) -> None:
        self._manager = manager
        self._version = version
        self._servable = servable

    def __enter__(self) -> Servable:
        return self._servable

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.release(self._version)


class Manager:
    """All models of the server. Every method may be called from any thread.

    Args:
        loader: Loads and warms up one version, given its model's name, its number and its folder.
        poll_seconds: How often folders are looked at; 0 for once per configuration, negative for never.
        max_load_retries: Further attempts after a failed load.
        retry_interval: Seconds between those.
        allow_labels_for_unavailable: Whether a new label may name a version that is not loaded.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        poll_seconds: float,
        max_load_retries: int,
        retry_interval: float,
        allow_labels_for_unavailable: bool,
    ) -> None:
        self._loader = loader
        self._poll_seconds = poll_seconds
        self._load_attempts = 1 + max(0, max_load_retries)
        self._retry_interval = max(0.0, retry_interval)
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._models: dict[str, ServedModel] = {}
        self._history: dict[str, dict[int, VersionStatus]] = {}  # includes versions that were unloaded
        self._changed = threading.Condition()
        self._closing = False
        self._poll_now = False
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._watcher.start()

    def acquire(self, name: str, version: int | None = None, label: str = "") -> Handle:
        """Return the version a request asks for, by default the latest one that serves.

        Raises:
            ServingError: No such model, version or label.
        """
        with self._changed:
            version = self._labelled(name, label) if label else version
            model = self._models.get(name)
            found = None
            if model is not None:
                found = model.latest if version is None else model.versions.get(version)
            if found is None or found.servable is None or found.state is not State.AVAILABLE:
                wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")
            found.in_flight += 1
            return Handle(self, found, found.servable)

    def release(self, version: Version) -> None:
        """Give back a version that `acquire` returned; leaving the handle does it."""
        with self._changed:
            version.in_flight -= 1
            if not version.in_flight and version.state is State.UNLOADING:
                self._changed.notify_all()

    def status(self, name: str, version: int | None = None, label: str = "") -> list[VersionStatus]:
        """Return the versions of a model that are or were here, newest first; or only the one asked for.

        Raises:
            ServingError: No such model, version or label.
        """
        with self._changed:
            version = self._labelled(name, label) if label else version
            known = self._history.get(name, {})
            if version is None:
                if not known:
                    raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
                return [known[number] for number in sorted(known, reverse=True)]
            if version not in known:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
            return [known[version]]

    def _labelled(self, name: str, label: str) -> int:
        model = self._models.get(name)
        if model is None or label not in model.labels:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return model.labels[label]

    def configure(self, config: Any) -> list[str]:
        """Start to serve the models of a checked ModelServerConfig, and no others.

        Returns:
            The names of the models that were not configured before, or do not serve.

        Raises:
            ServingError: A label names a version that is not available; nothing has changed then.
        """
        wanted = {model.name: model for model in config.model_config_list.config}
        with self._changed:
            for model_config in wanted.values():
                self._check_labels(model_config)
            known = {name for name, model in self._models.items() if model.configured}
            for name, model_config in wanted.items():
                model = self._models.setdefault(name, ServedModel(model_config))
                model.config, model.configured = model_config, True
                model.labels = dict(model_config.version_labels)
                model.forget_failures()  # the folder may be another one now, or have been repaired
            for name in known - wanted.keys():
                model = self._models[name]
                model.configured, model.labels = False, {}
                model.aspire({})
            self._poll_now = True
            self._changed.notify_all()
            return [name for name in wanted if name not in known or self._models[name].latest is None]

    def wait_until_available(self, names: list[str]) -> None:
        """Return once every version found for these models has loaded or failed.

        Raises:
            ServingError: A model of them has no version that serves.
        """
        with self._changed:

            def models() -> list[ServedModel]:
                found = (self._models.get(name) for name in names)
                return [model for model in found if model is not None and model.configured]

            self._changed.wait_for(lambda: self._closing or all(model.settled for model in models()))
            failed = [model for model in models() if model.latest is None]
            if failed and not self._closing:
                faults = [f"{{{v} due to error: {v.error}}}" for m in failed for v in m.versions.values()]
                message = f"{len(failed)} model(s) did not become available: {{{', '.join(faults)}}}"
                raise ServingError(Code.UNKNOWN, message)

    def _check_labels(self, config: Any) -> None:
        model = self._models.get(config.name)
        for label, number in config.version_labels.items():
            moved = model is not None and model.labels.get(label, number) != number
            version = model.versions.get(number) if model else None
            available = version is not None and version.state is State.AVAILABLE
            if not available and (moved or not self._allow_labels_for_unavailable):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {config.name}, which is not "
                    "currently available for inference",
                )

    def close(self) -> None:
        """Stop watching and end every wait; what is loaded stays loaded."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._watcher.join()

    def _watch(self) -> None:
        due = 0.0
        while True:
            with self._changed:
                if self._closing:
                    return
                poll = self._poll_now or (self._poll_seconds > 0 and time.monotonic() >= due)
                self._poll_now = False
                models = [model for model in self._models.values() if model.configured]
            if poll and self._poll_seconds >= 0:
                due = time.monotonic() + self._poll_seconds
                for model in models:
                    self._poll(model)
            with self._changed:
                self._advance()
                if not self._poll_now and not self._closing:
                    self._changed.wait(max(0.0, due - time.monotonic()) if self._poll_seconds > 0 else None)

    def _poll(self, model: ServedModel) -> None:
        config = model.config
        folders, trouble = aspired_versions(config.name, config.base_path, config.model_version_policy)
        with self._changed:
            if trouble and trouble != model.trouble:
                log.warning("%s", trouble)
            model.trouble = trouble
            if folders is not None and model.configured and model.config is config:
                for version in model.aspire(folders):
                    self._set(model, version, State.START)
                self._changed.notify_all()  # ends the wait of a retry that is no longer wanted

    def _advance(self) -> None:
        for name, model in list(self._models.items()):
            # A version may have been asked for again while it was unloaded.
            self._poll_now |= model.drop_finished()
            step = model.next_step()
            if step is not None:
                version, state = step
                self._set(model, version, state)
                work = self._load if state is State.LOADING else self._unload
                threading.Thread(target=work, args=(model, version), name=f"{version}", daemon=True).start()
            elif not model.configured and not model.versions:
                del self._models[name]

    def _set(self, model: ServedModel, version: Version, state: State, error: ServingError | None = None) -> None:
        version.state, version.error = state, error
        serving = [v for v in model.versions.values() if v.state is State.AVAILABLE]
        model.latest = max(serving, key=lambda v: v.number, default=None)
        self._history.setdefault(version.name, {})[version.number] = VersionStatus(version.number, state, error)
        self._changed.notify_all()

    def _load(self, model: ServedModel, version: Version) -> None:
        for attempt in range(1, self._load_attempts + 1):
            start = time.perf_counter()
            try:
                servable = self._loader(version.name, version.number, version.path)
            except ServingError as error:
                fault = error
            except Exception as error:  # whatever a broken model makes TensorFlow raise
                fault = ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")
            else:
                log.info("loaded %s from %s in %.2f s", version, version.path, time.perf_counter() - start)
                with self._changed:
                    version.servable = servable
                    self._set(model, version, State.AVAILABLE)
                return
            log.error("loading %s failed (attempt %d of %d): %s", version, attempt, self._load_attempts, fault)
            with self._changed:
                if (
                    fault.lasting
                    or attempt == self._load_attempts
                    or self._changed.wait_for(lambda: self._closing or not version.aspired, self._retry_interval)
                ):
                    self._set(model, version, State.END, fault)
                    return

    def _unload(self, model: ServedModel, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not version.in_flight)
            servable, version.servable = version.servable, None
        if servable is not None:
            servable.close()
        log.info("unloaded %s", version)
        with self._changed:
            self._set(model, version, State.END)
