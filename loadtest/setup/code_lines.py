"""Lines of a file that say something: not blank, not a comment, not a docstring.

Not pygount (3.2.0): it knows no protobuf text, so models.config counts 0, and leaves out lines of brackets alone.
"""

import ast
import io
import tokenize
from pathlib import Path

from loadtest.errors import UsageError

SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
COMMENT_MARKS = {".properties": ("#", "!"), ".json": (), ".mjs": ("//", "/*", "*")}
"""What a comment line begins with, by suffix; a # in all other files."""

Position = tuple[int, int]


def count_lines(path: Path) -> int:
    """Count the lines of a file that are neither blank nor only a comment, nor in Python a docstring.

    Raises:
        UsageError: If it cannot be read, or is no Python although it is named so.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return len(_python_lines(text)) if path.suffix == ".py" else _plain_lines(text, path.suffix)
    except (OSError, UnicodeDecodeError, SyntaxError, tokenize.TokenError) as error:
        raise UsageError(f"{path} cannot be counted: {error}") from error


def _plain_lines(text: str, suffix: str) -> int:
    marks = COMMENT_MARKS.get(suffix, ("#",))
    return sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith(marks))


def _python_lines(text: str) -> set[int]:
    """Numbers of the lines that hold a token of code; a long string counts with all of its lines that are not blank."""
    docstrings = _docstrings(ast.parse(text))
    rows: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in SILENT or any(start <= token.start < end for start, end in docstrings):
            continue
        rows.update(range(token.start[0], token.end[0] + 1))
    lines = text.splitlines()
    return {row for row in rows if lines[row - 1].strip()}


def _docstrings(tree: ast.Module) -> list[tuple[Position, Position]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            value = first.value if isinstance(first, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.append(((first.lineno, first.col_offset), (first.end_lineno or 0, first.end_col_offset or 0)))
    return found
