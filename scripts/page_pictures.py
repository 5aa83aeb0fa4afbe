"""Take the pictures of the page that docs/serving.md shows, of a running server.

Example:
    textvae serve data/models/english --index reviews=runs/reviews --attribute sentiment=runs/sentiment
    python scripts/page_pictures.py http://127.0.0.1:8080
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "img"
SENTENCE = "this is the worst pizza i have ever had."
PAUSE = 1500  # milliseconds after which a picture is at rest


def main() -> None:
    """Write docs/img/page-*.webp."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    url = parser.parse_args().url
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = _open(browser, url, 1280, "light")
        page.fill("#panel-find textarea", "the waiter was friendly.")
        page.click("#panel-find button.main")
        page.wait_for_selector("#panel-find .hits li")
        _keep(page, "page-find")
        page.click("#tab-walk")
        page.locator("#panel-walk textarea").nth(0).fill("the food was cold and the waiter was rude.")
        page.locator("#panel-walk textarea").nth(1).fill("the screen is bright and the sound is good.")
        page.keyboard.press("Tab")
        page.locator("#panel-walk input[type=range]").fill("24")
        page.get_by_role("button", name="Write 7 steps").click()
        page.locator("#panel-walk .hits li").nth(6).wait_for()
        page.locator("#stage").hover(position={"x": 5, "y": 5})
        _keep(page, "page-walk")
        narrow = _open(browser, url, 400, "dark")
        narrow.click("#tab-rewrite")
        narrow.locator("#panel-rewrite textarea").first.fill(SENTENCE)
        narrow.locator("#panel-rewrite input[type=range]").first.fill("1")
        narrow.locator("#panel-rewrite .facts").wait_for()
        narrow.evaluate("document.querySelector('#tools').scrollIntoView()")
        _keep(narrow, "page-rewrite")
        browser.close()


def _open(browser: Browser, url: str, width: int, scheme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 860}, color_scheme=scheme)
    page.set_default_timeout(120_000)
    page.goto(url)
    page.wait_for_selector("#chips button")
    page.wait_for_function("() => !document.querySelector('#hint').textContent.includes('sketch')")
    page.select_option("#colour", "topic")
    return page


def _keep(page: Page, name: str) -> None:
    page.wait_for_timeout(PAUSE)
    Image.open(io.BytesIO(page.screenshot())).save(FOLDER / f"{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
