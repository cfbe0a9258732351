"""The playground's page in a real browser: digits are drawn, and the page and the servers answer."""

import contextlib
import fcntl
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.launch.launcher import LocalLauncher, running
from loadtest.machine.placement import UNPINNED
from loadtest.playground.known_servers import KnownServer
from loadtest.playground.page_files import PAGE, RUNTIME, PageFiles
from loadtest.playground.page_models import PageModel
from loadtest.playground.page_server import PageServer
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import select_servers
from models.imagenet_photographs import PHOTOGRAPHS, pixels
from tests.browser.conftest import Page
from tests.browser.playground_page import all_agree, answer, card, draw, points, settled
from tests.models.conftest import real_model, run
from tests.playground.handwriting import HANDWRITING
from tests.playground.stand_in import predictions, serving, standing_in, sure_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 60_000
pytestmark = pytest.mark.slow

Show = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def runtime() -> None:
    """The pinned runtime of the page's own model, installed once by whichever process comes first."""
    pinned = json.loads((PAGE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    script = PAGE / "vendor" / "ort.wasm.bundle.min.mjs"
    with (PAGE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (PAGE / RUNTIME).is_file() and f"ONNX Runtime Web v{pinned}" in script.read_text(encoding="utf-8")[:300]:
            return
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed: it installs the runtime of the page's own model")
        installed = subprocess.run([ROOT / "scripts" / "playground"], capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"npm cannot install the runtime of the page's own model: {installed.stderr[-500:]}")


@pytest.fixture
def show(browser: Any) -> Iterator[Show]:
    """Opens the page as a reader would, and notes all that it says and asks for."""
    contexts = []

    def shown(url: str, *, width: int = 1280, scheme: str = "light", touch: bool = False) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(url)
        return page

    yield shown
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def three(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[PageServer]:
    """The playground in front of the three real servers."""
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    with running(launcher, select_servers(None, servers)) as started:
        known = [KnownServer(one.server, one.ports["rest"], one.headers) for one in started]
        with serving(*known, models={"digits": PageModel.of(artifact)}) as server:
            yield server


def test_what_is_drawn_is_recognised_by_the_page_and_by_each_server(three: PageServer, show: Show) -> None:
    """Both ways to write each digit get that digit from the page's own model, and one way of some from every server."""
    page = show(three.url)
    titles = [one.label for one in three.servers.values()]
    for digit, ways in HANDWRITING.items():
        for number, strokes in enumerate(ways):
            draw(page, strokes)
            page.locator("#digits .here .class", has_text=re.compile(f"^{digit}$")).wait_for()
            if number or digit not in (0, 4, 7):
                continue
            all_agree(page, str(digit))
            for title in titles:
                assert answer(page, title) == str(digit)
                request, raw = card(page, title).locator("pre").all_text_contents()
                assert request.startswith("curl -H 'Content-Type: application/json' -d '{\"instances\":[[[")
                assert max(json.loads(raw)["predictions"][0]) > 0.5
            told = page.locator(
                "#digits .announced", has_text=re.compile(rf"^this page: {digit}, .* 3 of 3 others agree")
            )
            told.wait_for()
    assert page.said == []
    assert all(asked.startswith(three.url) for asked in page.asked), "nothing comes from anywhere else"


def test_an_example_of_the_set_is_answered_alike(three: PageServer, show: Show, artifact: Artifact) -> None:
    """The examples of the page are golden inputs of the artifact, and servers agree with the page about one."""
    page = show(three.url)
    page.get_by_role("button", name="an example of a 8").click()
    all_agree(page, "8")
    assert answer(page) == "8"
    told = json.loads((PAGE / "models" / "digits" / "examples.json").read_text())
    labels = np.load(artifact.folder / "golden" / "labels.npy")
    images = artifact.golden.inputs["image"]
    assert [one["label"] for one in told] == list("0123456789")
    for one in told:
        same = (images * 16 == np.array(one["sixteenths"])).all(axis=(1, 2))
        assert str(labels[same][0]) == one["label"]


def test_the_page_s_own_model_is_that_of_the_artifact(show: Show, artifact: Artifact) -> None:
    """It bears the digest of the weights and gives every golden answer, within what counts as the same for a server."""
    description = json.loads((PAGE / "models" / "digits" / "digits.json").read_text())
    assert description["weights_sha256"] == artifact.weights_sha256
    with serving() as server:
        page = show(server.url)
        answers = page.evaluate(
            """async inputs => {
                const { PageModel, described } = await import('/page/page_model.mjs');
                const model = await PageModel.load(await described('digits'));
                const answers = [];
                for (const input of inputs) answers.push((await model.predict(new Float32Array(input))).probabilities);
                return answers;
            }""",
            artifact.golden.inputs["image"].reshape(artifact.size, -1).tolist(),
        )
    (golden,) = artifact.golden.outputs.values()
    assert np.abs(np.array(answers) - golden).max() <= artifact.tolerance


def test_a_finger_draws(show: Show) -> None:
    """A touch draws and does not scroll the page, which fits a phone and the dark as well."""
    with serving() as server:
        page = show(server.url, width=390, scheme="dark", touch=True)
        finger = page.context.new_cdp_session(page)

        def touch(kind: str, *places: tuple[float, float]) -> None:
            at = [{"x": x, "y": y} for x, y in places]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

        settled(page, "In this page", "waiting")
        for stroke in HANDWRITING[4][0]:
            first, *others = points(page, stroke)
            scrolled = page.evaluate("scrollY")
            touch("touchStart", first)
            for point in others:
                touch("touchMove", point)
            touch("touchEnd")
        assert answer(page) == "4"
        assert page.evaluate("scrollY") == scrolled
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_keys_alone_draw(show: Show) -> None:
    """The board is reached with Tab, arrows move the pen, Space draws; Backspace and Delete take away."""
    with serving() as server:
        page = show(server.url)
        settled(page, "In this page", "waiting")
        keys = page.keyboard
        for _ in range(2):  # the tabs are one stop
            keys.press("Tab")
        assert page.evaluate("document.activeElement.className") == "board"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        for key in ["Shift+ArrowLeft"] * 2 + [" "] + ["Shift+ArrowRight"] * 4:
            keys.press(key)
        assert page.locator("#pen").inner_text() == "pen down"
        for _ in range(10):
            for key in ("ArrowLeft", "ArrowDown", "ArrowDown"):
                keys.press(key)
        keys.press(" ")
        assert page.locator("#pen").inner_text() == "pen up"
        page.locator("#digits .here .class", has_text="7").wait_for()
        keys.press(" ")
        keys.press("Backspace")
        page.locator("#digits .here .class", has_text="7").wait_for()
        keys.press("Delete")
        settled(page, "In this page", "waiting")
        keys.press("Shift+Tab")
        keys.press("ArrowRight")
        assert page.locator("#imagenet").is_visible()


def test_each_failure_stays_in_its_card(show: Show, servers: Mapping[str, Server]) -> None:
    """Down, slow, broken, without sense or wrong: said where it is, and the others are shown as ever."""
    held = threading.Event()

    def slowly(body: bytes) -> tuple[int, bytes]:
        held.wait(30)
        return 200, sure_of(7)

    answering: dict[str, Callable[[bytes], tuple[int, bytes]]] = {
        "Down": lambda body: (200, b""),
        "Slow": slowly,
        "Broken": lambda body: (500, b'{"error": "<b>it broke</b>"}'),
        "Other": lambda body: (404, b""),
        "Locked": lambda body: (401, b""),
        "Senseless": lambda body: (200, b'{"predictions": [[NaN]]}'),
        "Wrong": lambda body: (200, sure_of(3)),
        "Near": lambda body: (200, predictions([0.0] * 7 + [0.75, 0.25, 0.0])),
    }
    with contextlib.ExitStack() as stack:
        stands = {name: stack.enter_context(standing_in(one)) for name, one in list(answering.items())[1:]}
        with standing_in(answering["Down"]) as gone:
            stands["Down"] = gone
        patience = {"Slow": {"patience_s": 0.5}}
        known = [one.known_as(servers["torchserve"], name, **patience.get(name, {})) for name, one in stands.items()]
        page = show(stack.enter_context(serving(*known)).url)
        draw(page, HANDWRITING[7][0])
        faults = {
            "Down": "is not up",
            "Slow": "did not answer in time",
            "Broken": 'answered with an error, 500: {"error": "<b>it broke</b>"}',
            "Other": "does not serve digits",
            "Locked": "asks for a token: start the playground with the one that it was started with",
            "Senseless": "its answer holds no probabilities: see below",
        }
        for name, fault in faults.items():
            assert settled(page, name, "fault").locator(".says").inner_text() == fault
        settled(page, "Wrong").locator("[data-agrees=false]").wait_for()
        assert card(page, "Wrong").locator(".agreement").inner_text().startswith("differs: this page says 7")
        assert card(page, "Near").locator(".agreement").inner_text().startswith("differs from this page")
        assert answer(page) == "7"
        held.set()


def test_the_latest_drawing_wins(show: Show, servers: Mapping[str, Server]) -> None:
    """The answer to an earlier drawing that comes after that to a later one is not shown."""
    asked, release, late = threading.Event(), threading.Event(), threading.Event()

    def answering(body: bytes) -> tuple[int, bytes]:
        if asked.is_set():
            return 200, sure_of(2)
        asked.set()
        release.wait(30)
        late.set()
        return 200, sure_of(1)

    with standing_in(answering) as one, serving(one.known_as(servers["torchserve"], "Late")) as server:
        page = show(server.url)
        draw(page, HANDWRITING[1][0])
        assert asked.wait(30)
        draw(page, HANDWRITING[2][0])
        assert answer(page, "Late") == "2"
        release.set()
        assert late.wait(30)
        page.wait_for_timeout(300)
        assert answer(page, "Late") == "2"


@pytest.fixture
def static(tmp_path: Path) -> Iterator[str]:
    """The page's folder on a host that knows nothing but files."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(PAGE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"\((http://[^)]*)\)", process.stdout.readline())
        assert found
        yield found[1]
        process.terminate()


def test_a_static_host_is_enough(static: str, show: Show) -> None:
    """Without any server the page answers by itself, says how servers come to it, and reports no error."""
    page = show(static)
    draw(page, HANDWRITING[2][0])
    assert answer(page) == "2"
    assert "loadtest playground asks them" in page.locator("#digits .servers-note").inner_text()
    assert page.locator("#digits .servers .card").count() == 0
    assert page.said == []


def test_without_the_runtime_the_servers_are_asked_still(
    show: Show, servers: Mapping[str, Server], tmp_path: Path
) -> None:
    """One line says what to run, and the first server's answer is what the others are compared with."""
    shutil.copytree(PAGE, tmp_path / "page", ignore=shutil.ignore_patterns("vendor"))
    files = PageFiles(page=tmp_path / "page")
    with (
        standing_in(lambda body: (200, sure_of(5))) as one,
        serving(*(one.known_as(servers["torchserve"], name) for name in ("First", "Second")), files=files) as server,
    ):
        page = show(server.url)
        draw(page, HANDWRITING[5][0])
        assert (answer(page, "First"), answer(page, "Second")) == ("5", "5")
        assert page.locator("#digits [data-agrees=true]").count() == 1
        assert "run scripts/playground" in settled(page, "In this page", "fault").inner_text()


def test_a_photograph_is_prepared_as_for_training(show: Show, servers: Mapping[str, Server], tmp_path: Path) -> None:
    """The request holds the pixels that Pillow makes of the cat, and what is no picture is refused in words."""
    models = {"imagenet": PageModel("imagenet"), "digits": PageModel("digits")}
    with (
        standing_in(lambda body: (200, sure_of(285, 1000))) as one,
        serving(one.known_as(servers["torchserve"], "Cats"), models=models) as server,
    ):
        page = show(f"{server.url}#imagenet")
        told = card(page, "In this page", "imagenet").inner_text()
        assert "python -m models devices --exports onnx --keep DIR" in told
        page.get_by_role("button", name="take the cat").click()
        assert settled(page, "Cats", part="imagenet").locator(".class").inner_text() == "class 285"
        assert card(page, "Cats", "imagenet").locator(".bars li").count() == 5
        sent = np.array(json.loads(one.arrived[-1].body)["instances"][0], np.float32)
        assert np.array_equal(sent, pixels(PAGE / "chelsea.png", 224, mirrored=False))
        (tmp_path / "letter.png").write_text("no picture")
        page.locator("input[type=file]").set_input_files(tmp_path / "letter.png")
        page.get_by_text("letter.png is no picture that this browser can read.").wait_for()


@pytest.mark.devices
@pytest.mark.usefixtures("exporters")
def test_the_page_s_own_model_knows_the_cat(show: Show, tmp_path: Path) -> None:
    """Exported as a reader does it, it names the cat, and what it shows of each class is the golden probability."""
    artifact = load_artifact("imagenet", real_model("imagenet").parents[1])
    done = run(artifact.folder.parents[1], "devices", "imagenet", "--exports", "onnx", "--keep", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with serving(files=PageFiles(tmp_path), models={"imagenet": PageModel.of(artifact)}) as server:
        page = show(f"{server.url}#imagenet")
        page.get_by_role("button", name="take the cat").click()
        own = settled(page, "In this page", part="imagenet")
        shown = [line.split("\n") for line in own.locator(".bars li").all_inner_texts()]
        assert own.locator(".class").inner_text() == shown[0][0]
    (classes,) = [classes for file, classes in PHOTOGRAPHS.items() if file.path.endswith("/chelsea.png")]
    assert shown[0][0] in classes
    labels = list(artifact.manifest["labels"])
    golden = artifact.golden.outputs["probabilities"][0]  # of the same cat, in the same size
    assert np.array_equal(artifact.golden.inputs["image"][0], pixels(PAGE / "chelsea.png", 224, mirrored=False))
    told = {labels.index(name): float(share.rstrip("%")) / 100 for name, share in shown}
    assert told == pytest.approx({index: golden[index] for index in told}, abs=0.0005 + artifact.tolerance)
    assert page.said == []
