"""docs/see-the-model.md says how many lines each framework's way takes, and names what is there."""

import json
import re

from loadtest.servers.artifact import Artifact
from loadtest.setup.code_lines import count_lines
from tests.docs.scratch_copy import ROOT

PAGE = (ROOT / "docs" / "see-the-model.md").read_text(encoding="utf-8")


def test_the_lines_of_both_writers_are_those_of_their_files() -> None:
    """Counted as for the ease of setup."""
    block = re.search(r"<!-- writers -->\n(.*?)<!-- /writers -->", PAGE, re.DOTALL)
    assert block is not None
    rows = re.findall(r"\| \w+ \| \[(models/\S+)\]\(../(models/\S+)\) \| (\d+) \|", block[1])
    assert [file for file, *_ in rows] == ["models/recording/torch_board.py", "models/recording/tensorflow_board.py"]
    for named, file, lines in rows:
        assert named == file
        assert int(lines) == count_lines(ROOT / file)


def test_every_figure_is_named(artifact: Artifact) -> None:
    """Each picture of the artifact, and the file of numbers."""
    facts = json.loads((artifact.folder / "figures" / "model.json").read_text(encoding="utf-8"))
    assert [one["file"] for one in facts["pictures"] if f"      {one['file']} " not in PAGE] == []
    assert len(facts["pictures"]) == 4
