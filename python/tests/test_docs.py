"""Every example of docs/python.md and of the README is run as it stands there."""

from __future__ import annotations

import asyncio
import doctest
import http.server
import importlib.util
import os
import re
import threading
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

import weir
from peers import Echo
from processes import PATHS
from test_plugin import PLUGIN

PYTHON = Path(__file__).parents[1]
PAGE = PYTHON.parent / "docs" / "python.md"


def blocks(page: Path) -> List[Tuple[str, str]]:
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def files(page: Path) -> Dict[str, str]:
    """By name, what stands in blocks that begin with a comment that names a file."""
    found = {}
    for language, text in blocks(page):
        name = re.match(r"# (\w+\.py)\n", text)
        if language == "python" and name:
            found[name[1]] = text
    return found


def test_no_example_is_left_out() -> None:
    run = {"stock.py", "test_with_weir.py", "test_with_toxiproxy.py", "test_marked.py", "async_story.py"}
    assert set(files(PAGE)) == run
    for language, text in blocks(PAGE):
        assert language == "pycon" or text in files(PAGE).values(), f"no test runs:\n{text}"


def test_the_examples_at_the_prompt(echo: Echo) -> None:
    text = "".join(text for language, text in blocks(PAGE) if language == "pycon")
    test = doctest.DocTestParser().get_doctest(text, {"upstream": echo.address}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 20
    said: List[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


class Stock(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"7")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def folder(pytester: pytest.Pytester, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """The page's files, with the fixtures that it asks its reader for."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(PATHS))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stock) as stock:
        threading.Thread(target=stock.serve_forever, args=(0.01,), daemon=True).start()
        pytester.makeconftest(f"""
            import pytest

            @pytest.fixture
            def stock_service():
                return "127.0.0.1:{stock.server_port}"

            @pytest.fixture
            def upstream():
                return "{echo.address}"
            """)
        for name, text in files(PAGE).items():
            (pytester.path / name).write_text(text)
        yield pytester
        stock.shutdown()


def test_the_tests_that_use_the_plugin(folder: pytest.Pytester) -> None:
    folder.runpytest_subprocess(*PLUGIN, "test_with_weir.py", "test_marked.py").assert_outcomes(passed=2)


def test_the_same_with_toxiproxys_client(folder: pytest.Pytester, server: weir.Server) -> None:
    pytest.importorskip("toxiproxy", reason="needs toxiproxy-python 0.1.1 of PyPI, which Debian has not")
    with (folder.path / "conftest.py").open("a") as conftest:
        conftest.write(f"\nfrom toxiproxy import Toxiproxy\n"
                       f"Toxiproxy().update_api_consumer('127.0.0.1', {server.api.endpoint.port})\n")
    folder.runpytest_subprocess("test_with_toxiproxy.py").assert_outcomes(passed=1)
    assert server.proxies() == []


def test_the_asyncio_story(folder: pytest.Pytester, echo: Echo) -> None:
    spec = importlib.util.spec_from_file_location("async_story", folder.path / "async_story.py")
    assert spec is not None and spec.loader is not None
    story = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(story)
    assert asyncio.run(story.main(echo.address)) == b"x"


def test_the_readmes_example(folder: pytest.Pytester) -> None:
    readme = files(PYTHON / "README.md")
    assert list(readme) == ["test_first.py"]
    (folder.path / "test_first.py").write_text(readme["test_first.py"])
    folder.runpytest_subprocess(*PLUGIN, "test_first.py").assert_outcomes(passed=1)
