"""``loadtest leave``: one part of ``loadtest resilience``."""

from loadtest.cli.parts_run import part_command

leave = part_command(
    ["leave"],
    "leave",
    "Cancel requests: how much of the work on them is still done for nobody.",
)
