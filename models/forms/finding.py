"""What was found out about each form of a model, as it is kept in JSON."""

from dataclasses import dataclass, field

from models.forward_timing import ForwardTiming

SCHEMA_VERSION = 1

RIGHT, WRONG, REFUSED = "right", "wrong in silence", "refused"


@dataclass(frozen=True)
class Calls:
    """How often a line of the model's Python code was reached.

    Attributes:
        building: While the form was built and loaded.
        each: In each of the calls after that.
        refused: Why the form could not be made or called with such a line; empty where it could.
    """

    building: int = 0
    each: tuple[int, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class Branch:
    """What became of an `if` over the values of the input.

    Attributes:
        outcome: `RIGHT`, `WRONG` or `REFUSED`.
        when: ``build`` or ``call`` where it was refused.
        reason: What was said.
    """

    outcome: str
    when: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Probes:
    """What a small model of a few lines showed, made in this form.

    Attributes:
        prints: A `print` in the model.
        breakpoints: A `breakpoint()` in the model.
        branch: An `if` over the input.
    """

    prints: Calls
    breakpoints: Calls
    branch: Branch


@dataclass(frozen=True)
class BuiltForm:
    """What building took.

    Attributes:
        seconds: From the Python code to the files, the framework being imported already.
        bytes: Size of the files.
    """

    seconds: float
    bytes: int


@dataclass(frozen=True)
class Answered:
    """What a process of its own measured of a form that was built.

    Attributes:
        import_s: Seconds to import the framework.
        first_answer_s: Seconds from there, with loading, to the first answer to one instance.
        difference: Largest absolute difference from the golden outputs; None where an answer is wrong.
        fault: Which answer is wrong.
        batches: For each number of instances in a batch, why it was refused or answered wrongly; empty where right.
        timings: Forward passes; none where an answer was wrong.
        peak_bytes: Most memory of the process at a time. Programs that it starts, such as a compiler, are not in it.
    """

    import_s: float
    first_answer_s: float
    difference: float | None
    fault: str
    batches: dict[int, str]
    timings: tuple[ForwardTiming, ...]
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Everything about one form of one model.

    Attributes:
        form: Name of the form.
        title: What it is called in a table.
        framework: ``torch`` or ``tensorflow``.
        compiler_to_build: Whether it could not be built without a C++ compiler, and could be with one; None where it
            could not be built at all.
        compiler_to_run: The same for loading and the first answer.
        without_compiler: What the form said where it needed a compiler and had none.
        refused: Why there is no such form of this model, or no answer from it; empty where there is.
        built: What building took.
        rounds: What the form did then, in a process of its own each time, the forms taking turns.
        probes: What a model of a few lines showed; None where that failed as a whole.
    """

    form: str
    title: str
    framework: str
    compiler_to_build: bool | None = None
    compiler_to_run: bool | None = None
    without_compiler: str = ""
    refused: str = ""
    built: BuiltForm | None = None
    rounds: tuple[Answered, ...] = ()
    probes: Probes | None = None

    @property
    def answered(self) -> Answered | None:
        """The first round; whether answers are right does not change from one to the next."""
        return self.rounds[0] if self.rounds else None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The forms of one model, and where they were tried.

    Attributes:
        schema_version: Of this layout.
        workload: Name of the model.
        version: Its version.
        command: What measured it.
        date: On which day, in UTC.
        machine: Processor and number of cores.
        versions: Versions of Python and the frameworks.
        forms: One for each form, in the order asked for.
    """

    schema_version: int = SCHEMA_VERSION
    workload: str
    version: int
    command: str
    date: str
    machine: str
    versions: dict[str, str]
    forms: list[Finding] = field(default_factory=list)
