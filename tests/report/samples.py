"""The sample result: a real one, made by the command that stands in it.

It was trimmed afterwards, and nothing in it was changed otherwise: of the load curve four of six shares are left, of
the time lines those of the open-loop rounds, and of paths what lies below the project. The peak memory of the server
with an invalid closed-loop run was summarised anew, since that rule is younger than the result.

Beside it lies the setup.json of `loadtest setup --repeat 5`, as it was written; what it says since of stand-ins and of
programs was added.
"""

from pathlib import Path

SAMPLE = Path(__file__).with_name("data") / "result.json"
SETUP = SAMPLE.with_name("setup.json")
