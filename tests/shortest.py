"""The shortest comparison that is still a whole one."""

SHORTLY = ("--rounds", "1", "--duration", "1", "--warmup", "0", "--rate", "20")
"""Options of `loadtest compare`."""
