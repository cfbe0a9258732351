"""The commands that a README tells its reader to type."""

import shlex

SHELLS = {"sh", "bash", "shell", "console"}
SEPARATORS = {"&&", ";", "||", "&"}


def commands_of(readme: str) -> list[str]:
    """Find the commands of the first shell block of a README: the way to the first prediction.

    A command over several lines is one; what stands between ``&&`` or ``;`` is one each; a pipe stays one.

    Args:
        readme: Markdown.

    Returns:
        The commands, each on one line; none where there is no block marked as shell.
    """
    found: list[str] = []
    pending = ""
    for line in _first_block(readme):
        text = line.removeprefix("$ ") if not pending else line
        pending = f"{pending}\n{text}" if pending else text
        words = _words(pending)
        if words is not None:
            found += _split(words)
            pending = ""
    return found


def _first_block(readme: str) -> list[str]:
    block: list[str] | None = None
    for line in readme.splitlines():
        if line.startswith("```"):
            if block is not None:
                return block
            if line[3:].strip() in SHELLS:
                block = []
        elif block is not None:
            block.append(line)
    return block or []


def _words(text: str) -> list[str] | None:
    """The words of a command, or None while a quote is open or a backslash continues the line."""
    if text.endswith("\\"):
        return None
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def _split(words: list[str]) -> list[str]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word in SEPARATORS:
            commands.append([])
        else:
            commands[-1].append(word)
    return [" ".join(" ".join(command).split()) for command in commands if command]
