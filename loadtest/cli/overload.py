"""``loadtest overload``: one part of ``loadtest resilience``."""

from loadtest.cli.parts_run import part_command

overload = part_command(
    ["overload"],
    "overload",
    "Offer more load than a server can answer: goodput, refusals, memory and recovery.",
)
