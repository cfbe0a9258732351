"""Findings as data: a code and its values. `loadtest.report.setup_wording` holds the sentence of each code."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

FindingValue: TypeAlias = bool | int | float | str | list[str] | dict[str, int]


class SetupCode(StrEnum):
    """What can be found; the comment names the values."""

    AS_WORDED = "as_worded"  # text: a sentence of a file of schema 1, which had no codes

    # Why something is not known, or what has to be said beside it.
    NOT_PROBED = "not_probed"
    NOT_IN_QUICK_FORM = "not_in_quick_form"
    PROBE_FAILED = "probe_failed"  # error
    LOOKED_UP = "looked_up"
    NEITHER_ANSWERED_NOR_REFUSED = "neither_answered_nor_refused"
    NO_BATCHING_SETTING = "no_batching_setting"
    NO_BATCH_COUNTED = "no_batch_counted"
    NO_VERSION_ADDRESS = "no_version_address"
    NEW_VERSION_TOO_LATE = "new_version_too_late"
    NEW_VERSION_NOTICED = "new_version_noticed"
    NEW_VERSION_IGNORED = "new_version_ignored"
    GRPC_WITHOUT_PREDICTION = "grpc_without_prediction"
    BINARY_OVER = "binary_over"  # ways
    BAD_INPUT_ANSWERED = "bad_input_answered"  # request, answer
    NOT_STARTED_AGAIN = "not_started_again"  # error
    NO_SERIES_COUNTS = "no_series_counts"
    READINESS_NOT_SEEN = "readiness_not_seen"
    PROCESS_NOT_KNOWN = "process_not_known"
    ALL_ANSWERED_BEFORE_SIGNAL = "all_answered_before_signal"

    # What a probe did to the server; `requests` are those that did it, where they are known one by one.
    KILLED = "killed"  # ending, requests
    STOPPED_ANSWERING = "stopped_answering"  # answer, requests

    # What was counted: `answered` of `sent` requests were answered rightly, and `errors` counts the others by kind.
    BATCHES = "batches"  # connections, counter, sent, answered, errors, batches
    SWAP_UNDER_LOAD = "swap_under_load"  # rate, sent, answered, errors
    SHUTDOWN_UNDER_LOAD = "shutdown_under_load"  # instances, signal_s, sent, answered, errors, and ending or waited_s
    PREDICTIONS_WHEN_READY = "predictions_when_ready"  # request, sent, right, wrong
    COUNTING_SERIES = "counting_series"  # request, predictions, series, rose
    NAMES_TOLD = "names_told"  # told, missing
    LOOKED_UP_FACT = "looked_up_fact"  # date, source, text

    # Why an image has no size.
    NO_DOCKER = "no_docker"
    COMPOSE_NOT_READ = "compose_not_read"
    NO_COMPOSE_SERVICE = "no_compose_service"  # service
    IMAGE_NOT_HERE = "image_not_here"

    # What has to be said beside a cold start.
    INSTALLED_BEFORE = "installed_before"  # program
    EXPORTED_IN_THIS_ENVIRONMENT = "exported_in_this_environment"
    BASE_IMAGES_PULLED_BEFORE = "base_images_pulled_before"
    LAYERS_NOT_PULLED_AGAIN = "layers_not_pulled_again"
    EXPORTER_IMAGE_BUILT_BEFORE = "exporter_image_built_before"


@dataclass(frozen=True)
class SetupFinding:
    """A code with its values.

    Attributes:
        code: What was found.
        values: The values that belong to the code, by name.
    """

    code: SetupCode
    values: dict[str, FindingValue] = field(default_factory=dict)


def finding(code: SetupCode, **values: FindingValue) -> SetupFinding:
    """A finding with its values as keyword arguments."""
    return SetupFinding(code, values)
