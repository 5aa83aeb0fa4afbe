"""Measure the page of `textvae serve` in Chromium: first paint, time to the map, frames while panning, memory.

The map has 100,000 texts at made-up places; the model is untrained, since it has nothing to write here. Chromium runs
without a GPU, as on a server. Rows go to results/page.json.

Example:
    python benchmarks/page.py
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from results import row, write_results
from textvae import LatentIndex, TextVAE
from textvae.modeling import TextVAEConfig
from textvae.server.app import create_app
from textvae.server.maps import IndexMap
from textvae.server.workspace import Workspace
from textvae.storage.atomic import save_rows

WIDTH, HEIGHT = 1280, 900
COUNT_DRAWS = """
window.draws = 0;
const put = CanvasRenderingContext2D.prototype.putImageData;
CanvasRenderingContext2D.prototype.putImageData = function (...given) {
  window.draws++;
  return put.apply(this, given);
};
"""


def main() -> None:
    """Serve a map, open it several times, and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5, help="visits of the page")
    parser.add_argument("--seconds", type=float, default=5.0, help="of panning, each visit")
    parser.add_argument("--note", default="", help="what else the machine does meanwhile")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("there is no chromium: install it")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TEXTVAE_CACHE"] = folder + "/cache"
        space = _space(Path(folder), arguments.texts)
        url, server = _serve(space)
        space.map("texts").answer()  # made once for all visitors
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            visits = [_visit(browser, url, arguments.seconds) for _ in range(arguments.repeats)]
            version = browser.version
            browser.close()
        server.should_exit = True
    note = f"median of {arguments.repeats} visits, Chromium {version} without a GPU, {WIDTH} x {HEIGHT}"
    note += f"; {arguments.note}" if arguments.note else ""
    names = ("first_paint_ms", "map_ms", "frames_per_second", "memory_mb")
    medians = {name: round(statistics.median(visit[name] for visit in visits), 1) for name in names}
    rows = [row(f"serve.page.{name}", medians[name], n=arguments.texts, seed=0, note=note) for name in names]
    write_results("page", rows)


def _space(folder: Path, count: int) -> Workspace:
    """Return a workspace with an index of texts at random places around twenty centres."""
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 20, count)
    vae = TextVAE.from_texts(
        ["the food was good .", "the room was cold ."], TextVAEConfig.preset("tiny", vocab_size=300)
    )
    vae.save_pretrained(folder / "run")
    centres = generator.normal(size=(20, vae.dim))
    vectors = (centres[groups] + generator.normal(size=(count, vae.dim))).astype(np.float32)
    place = iter(range(count))
    vae.encode = lambda texts, **_: vectors[[next(place) for _ in texts]]  # type: ignore[method-assign, assignment]
    rows = (
        {"text": f"text number {i} of group {group}", "group": int(group), "size": i % 1000}
        for i, group in enumerate(groups)
    )
    LatentIndex.build(vae, rows, path=folder / "index", factory="Flat")
    del vae.encode
    space = Workspace(vae, "tiny", indexes={"texts": folder / "index"})
    _keep_points(space.map("texts"), 4 * generator.normal(size=(20, 2))[groups] + generator.normal(size=(count, 2)))
    return space


def _keep_points(drawn: IndexMap, points: np.ndarray) -> None:
    """Put points where the map finds them computed, since PaCMAP takes minutes."""
    drawn._base = drawn._read(drawn._served.ids)
    save_rows(drawn._file(), [points.astype(np.float32)])
    drawn._base = drawn._base._replace(ids=[], vectors=drawn._base.vectors[:0])


def _serve(space: Workspace) -> tuple[str, uvicorn.Server]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(space), log_config=None))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{listening.getsockname()[1]}", server


def _visit(browser: Browser, url: str, seconds: float) -> dict[str, float]:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.add_init_script(COUNT_DRAWS)
    page.goto(url)
    page.wait_for_selector("#chips button")
    page.wait_for_function("window.draws > 0")
    found: dict[str, Any] = page.evaluate(
        "() => ({ first_paint_ms: performance.getEntriesByName('first-contentful-paint')[0].startTime, "
        "map_ms: performance.now() })"
    )
    found["frames_per_second"] = _panned(page, seconds)
    found["memory_mb"] = _memory_mb(browser)
    page.close()
    return found


def _panned(page: Page, seconds: float) -> float:
    """Drag the map about with the mouse, and return the frames drawn in a second."""
    box = page.locator("#stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    before, start = page.evaluate("[window.draws, performance.now()]")
    step = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        step += 1
        page.mouse.move(x + 120 * np.sin(step / 20), y + 90 * np.cos(step / 27))
    after, stop = page.evaluate("[window.draws, performance.now()]")
    page.mouse.up()
    return float(1000 * (after - before) / (stop - start))


def _memory_mb(browser: Browser) -> float:
    """Return the memory of the browser's largest renderer, without what it shares with others."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = []
    for process in processes:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text()
            sizes += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon:")]
    return max(sizes)


if __name__ == "__main__":
    main()
