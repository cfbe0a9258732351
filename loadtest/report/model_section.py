"""What the page shows of a model: sentences, and the pictures of its artifact inside the page."""

import base64
import re
from typing import Any

from loadtest.report.model_wording import model_sentences
from loadtest.servers.model_record import ModelRecord

WIDE = 1.4
"""Width by height of a picture from which on it is not made as narrow as a phone."""


def model_content(record: ModelRecord) -> dict[str, Any]:
    """What the page shows of a model."""
    drawn = [(one.title, record.drawn[one.file]) for one in record.facts.pictures]
    return {
        "name": f"{record.facts.workload} v{record.facts.version}",
        "told": model_sentences(record),
        "pictures": [
            {"title": title, "wide": _proportion(svg) > WIDE, "source": f"data:image/svg+xml;base64,{_base64(svg)}"}
            for title, svg in drawn
        ],
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _proportion(svg: str) -> float:
    """Width by height of a picture; 1 where it does not say."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    return float(box[1]) / float(box[2]) if box else 1.0
