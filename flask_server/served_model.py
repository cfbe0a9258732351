"""The model that a worker answers with: loaded in the background, and replaced while requests go on being answered."""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.exceptions import ServiceUnavailable

from flask_server.predict_body import Tensors
from flask_server.predictor import RUNTIMES, BuiltModel, BuiltModelError, Predictor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A version of the model that answers; a request takes one of these and nothing else of the model.

    Attributes:
        artifact: What it was loaded from.
        predictor: Who runs its forward pass.
    """

    artifact: BuiltModel
    predictor: Predictor


class ServedModel:
    """The model of one worker.

    Args:
        artifact: The first version; it is loaded in the background.
        find: Finds the version that is to be served now, for `replace`; it raises `BuiltModelError`.
        runtime: A name in `RUNTIMES`.
        threads: What it computes with.
    """

    def __init__(self, artifact: BuiltModel, find: Callable[[], BuiltModel], runtime: str, threads: int) -> None:
        self._find = find
        self._runtime = runtime
        self._threads = threads
        self._loaded: LoadedModel | None = None
        self._fault = "the model is still loading"
        self._settled = threading.Event()
        threading.Thread(target=self._load_first, args=(artifact,), name="load-model", daemon=True).start()

    def loaded(self, timeout_s: float = 0.0) -> LoadedModel:
        """Return the version that answers now.

        Args:
            timeout_s: Seconds to wait for the first one. /healthz is ready as soon as one worker is; a request that
                reaches another worker waits there, instead of getting an error.

        Raises:
            ServiceUnavailable: None has answered yet, or none ever will.
        """
        self._settled.wait(timeout_s)
        if self._loaded is None:
            raise ServiceUnavailable(self._fault)
        return self._loaded

    def settled(self) -> bool:
        """Return whether `loaded` answers without waiting."""
        return self._settled.is_set()

    def replace(self) -> None:
        """Begin to load the version that is to be served now; until it answers, and if it does not, nothing changes."""
        threading.Thread(target=self._replace, name="replace-model", daemon=True).start()

    def _load_first(self, artifact: BuiltModel) -> None:
        try:
            self._loaded = self._load(artifact)
        except Exception as error:  # whatever a framework raises, /healthz reports it
            log.exception("the model cannot be loaded")
            self._fault = f"the model cannot be loaded: {error}"
        self._settled.set()

    def _replace(self) -> None:
        self._settled.wait()
        present = self._loaded
        try:
            artifact = self._find()
            if present is not None and artifact == present.artifact:
                log.warning("version %s is served already", artifact.version)
                return
            if present is not None and artifact.workload != present.artifact.workload:
                raise BuiltModelError(f"{artifact.folder} holds {artifact.workload!r}")
            # One worker after the other: never more than one model is in memory beside those that answer.
            folder = os.open(artifact.folder, os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                loaded = self._load(artifact)
            finally:
                os.close(folder)
        except Exception as error:  # whatever is wrong with it, the version that is served stays
            log.error("the version that is served stays: %s", error)
            return
        self._loaded = loaded  # a request that has the one before finishes with it
        log.warning("version %s is served", artifact.version)

    def _load(self, artifact: BuiltModel) -> LoadedModel:
        predictor = RUNTIMES[self._runtime].load(artifact, self._threads)
        answer = predictor.predict(artifact.interface.smallest())  # the first call takes longer
        check_outputs(artifact, answer)
        return LoadedModel(artifact, predictor)


def check_outputs(artifact: BuiltModel, answer: Tensors) -> None:
    """Compare an answer with what the manifest promises.

    Raises:
        BuiltModelError: An output is missing or of another shape.
    """
    for spec in artifact.interface.outputs:
        array = answer.get(spec.name)
        if array is None or not spec.fits(array.shape[1:]):
            found = "none" if array is None else f"one of shape {list(array.shape[1:])}"
            raise BuiltModelError(
                f"{artifact.folder}: an instance has an output {spec.name!r} {spec.of_shape}, the model has {found}"
            )
