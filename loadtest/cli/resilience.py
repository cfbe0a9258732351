"""``loadtest resilience``: how servers hold under fire."""

from loadtest.cli.parts_run import part_command
from loadtest.resilience.parts import PARTS

resilience = part_command(
    list(PARTS),
    "resilience",
    "Too much load, a new version, processes that end, clients that leave, hostile requests: what each server does.",
)
