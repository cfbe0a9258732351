"""A model that was exported to phones and browsers: what was found out about each export.

`python -m models devices --out DIR` writes it; ``docs/devices.md`` says how each figure is found.
"""

from dataclasses import dataclass, field

SCHEMA_VERSION = 1
INT8 = "_int8"
"""How the name of an export ends that computes in 8-bit integers; without it, it is that of its float32 twin."""


@dataclass(frozen=True)
class Made:
    """What making the file took.

    Attributes:
        seconds: From the built model to the file, with the import of the exporter.
        bytes: Size of the file; of a form that the servers load, of what it loads.
    """

    seconds: float | None
    bytes: int


@dataclass(frozen=True)
class Right:
    """How right the answers are.

    Attributes:
        difference: Largest absolute difference from the golden outputs.
        accuracy: Share of right classes among `examples` further examples; None where there are no classes.
        examples: How many; 0 where there are no classes.
        cosine: Smallest cosine between an answer to a golden example and the right one, where there are no classes.
        same: Share of the examples that get the same class from the reference.
    """

    difference: float
    accuracy: float | None
    examples: int
    cosine: float | None
    same: float | None


@dataclass(frozen=True)
class Round:
    """What a process of its own measured.

    Attributes:
        load_s: Seconds to import the runtime and load the file.
        forward_ms: Median of one forward pass of one instance, from NumPy array to NumPy array.
        calls: Passes that were timed.
        peak_bytes: Most memory of the process at a time; None where the system does not tell.
    """

    load_s: float
    forward_ms: float
    calls: int
    peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Everything about one export of one model, or about a form that the servers load.

    Attributes:
        name: Of the export; of a form, its framework.
        title: What it is called in a table.
        framework: Where it comes from: ``torch`` or ``tensorflow``.
        on_server: Whether it is what the servers load, and not an export.
        int8: Whether it computes in 8-bit integers.
        lengths: Which lengths of an input it takes; empty where none varies.
        export_lines: Lines of code that export it; None for a form.
        run_lines: Lines of code that load and run it.
        refused: Why there is no such export or no answer from it; empty where there is.
        wrong: Why it is not timed though it answers; empty where its answers are within the tolerance.
        made: What making it took.
        right: How right its answers are.
        rounds: Its times; the exports take turns.
    """

    name: str
    title: str
    framework: str
    on_server: bool = False
    int8: bool = False
    lengths: str = ""
    export_lines: int | None = None
    run_lines: int | None = None
    refused: str = ""
    wrong: str = ""
    made: Made | None = None
    right: Right | None = None
    rounds: tuple[Round, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """The exports of one model, and where they were tried.

    Attributes:
        schema_version: Of this layout.
        workload: Name of the model.
        version: Its version.
        command: What measured it.
        date: On which day, in UTC.
        machine: Processor and number of cores.
        versions: Versions of Python, the frameworks, the exporters and the runtimes.
        exports: The forms of the servers first, then one for each export, in the order asked for.
    """

    schema_version: int = SCHEMA_VERSION
    workload: str
    version: int
    command: str
    date: str
    machine: str
    versions: dict[str, str]
    exports: list[Exported] = field(default_factory=list)
