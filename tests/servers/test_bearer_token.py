from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.servers.bearer_token import read_bearer, token_headers

VARIABLE = "SOME_SERVER_TOKEN"


def test_the_token_comes_from_where_the_server_takes_it(tmp_path: Path) -> None:
    """From the variable itself, from the file that its neighbour names, or not at all."""
    file = tmp_path / "token"
    file.write_text("out-of-a-file\n")
    assert token_headers(VARIABLE, {VARIABLE: "plain"}) == {"authorization": "Bearer plain"}
    assert token_headers(VARIABLE, {f"{VARIABLE}_FILE": str(file)}) == {"authorization": "Bearer out-of-a-file"}
    assert token_headers(VARIABLE, {"OTHER": "plain"}) == {}
    assert token_headers("", {"": "plain", "_FILE": str(file)}) == {}


@pytest.mark.parametrize(
    "content", [None, b"", b"\n", b"two words", b"a\r\nx-injected: 1", b"\xff\xfe", "caf\xe9".encode()]
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """With a message that names the file and does not quote what it holds."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_bearer(file)
    assert str(file) in str(refused.value)
    assert "injected" not in str(refused.value)
