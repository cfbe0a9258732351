"""``loadtest rollout``: one part of ``loadtest resilience``."""

from loadtest.cli.parts_run import part_command

rollout = part_command(
    ["rollout"],
    "rollout",
    "Replace the model by its next version under load, and back; then try broken versions.",
)
