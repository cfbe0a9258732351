"""``loadtest crash``: one part of ``loadtest resilience``."""

from loadtest.cli.parts_run import part_command

crash = part_command(
    ["crash"],
    "crash",
    "Kill and stop processes of a server under load: what is lost, and what is left over.",
)
