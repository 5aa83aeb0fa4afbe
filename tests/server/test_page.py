"""The page in a real Chromium, wide and narrow, light and dark; what it shows is compared with the library."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested by Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the page is tested in Chromium, which is not installed")

from served import served  # noqa: E402

from textvae import Attribute, LatentIndex, shift  # noqa: E402
from textvae.server import maps  # noqa: E402
from textvae.server.workspace import Workspace  # noqa: E402

TRICK = "<img src=x onerror=alert(1)> & <b>bold</b>"
WORDS = ["soup", "bread", "waiter", "room", "coffee", "phone", "dog", "museum", "river", "park"]
TEXTS = [f"the {a} was near the {b} ." for a in WORDS for b in WORDS[:6]] + [TRICK]
GOOD = [f"great {word} and friendly people ." for word in WORDS]
BAD = [f"the {word} was cold , small and dark ." for word in WORDS]
KINDS = ["even", "odd", "it's"]


class Site(NamedTuple):
    """A running server, and what it serves."""

    url: str
    space: Workspace


@pytest.fixture(scope="module")
def site(server_vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    metadata = [{"kind": KINDS[i % 3], "length": len(text) + i} for i, text in enumerate(TEXTS)]
    LatentIndex.build(server_vae, TEXTS, path=folder / "index", metadata=metadata)
    Attribute.fit(server_vae, GOOD, BAD, name="mood").save(folder / "mood")
    space = Workspace(
        server_vae, "tiny", indexes={"texts": folder / "index"}, attributes={"mood": folder / "mood"},
        writable=True, folder=folder / "kept",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, served(space) as url:
        patch.setattr(maps, "automatic_axes", lambda count: "pca")
        yield Site(url, space)


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


LOOKS = [
    pytest.param((1280, "light"), id="wide-light"),
    pytest.param((400, "dark"), id="narrow-dark"),
    pytest.param((1280, "dark"), id="wide-dark", marks=pytest.mark.slow),
    pytest.param((400, "light"), id="narrow-light", marks=pytest.mark.slow),
]


@pytest.fixture(params=LOOKS)
def page(chromium, site, request):
    width, scheme = request.param
    yield from opened(chromium, site, width, scheme)


@pytest.fixture
def wide(chromium, site):
    yield from opened(chromium, site, 1280, "light")


def opened(chromium, site, width, scheme):
    """Yield the page; in the end nothing was written to the console and nothing sticks out."""
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"]
    )
    page, wrong = context.new_page(), []
    page.set_default_timeout(15_000)
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    page.on("request", lambda asked: None if asked.url.startswith(site.url) else wrong.append(asked.url))
    page.goto(site.url)
    page.wait_for_selector("#chips button")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []
    context.close()


def go(page, name):
    page.click(f"#tab-{name.lower()}")
    return page.locator(f"#panel-{name.lower()}")


def texts(place, selector=".hits .text"):
    return [each.inner_text().strip() for each in place.locator(selector).all()]


def copied(page, place, name):
    place.get_by_role("group", name="Copy the result").get_by_role("button", name=name, exact=True).last.click()
    page.wait_for_function("t => document.querySelector('#said').textContent === t", arg=f"Copied as {name}.")
    return page.evaluate("navigator.clipboard.readText()")


def pick_dot(page, text, site):
    """Click on the dot of a text."""
    place = site.space.map("texts")
    data = json.loads(place.answer())
    row = TEXTS.index(text)
    stage = page.locator("#stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    unit = min(box["width"] - 2, box["height"] - 2) * 0.94 / data["scale"]
    x = box["x"] + box["width"] / 2 + (data["x"][row] - data["scale"] / 2) * unit
    y = box["y"] + box["height"] / 2 - (data["y"][row] - data["scale"] / 2) * unit
    page.mouse.move(x, y)
    page.wait_for_timeout(80)
    page.mouse.click(x, y)


def expected_naturalness(site, text):
    return float(site.space.naturalness()([text])[0])


# Find


def test_a_sentence_has_its_neighbours_and_its_familiarity(page, site):
    panel = page.locator("#panel-find")
    panel.locator("textarea").fill("the soup was near the dog .")
    panel.locator("textarea").press("Enter")
    panel.locator(".hits li").first.wait_for()
    hits = site.space.index("texts").index.search("the soup was near the dog .", 10)
    assert texts(panel) == [hit.text for hit in hits]
    share = float(site.space.vae.familiarity(["the soup was near the dog ."])[0])
    assert f"{round(100 * share)}% of its words come back" in panel.inner_text() or "No." in panel.inner_text()
    assert abs(float(panel.locator("meter").get_attribute("value") or 0) - share) < 1e-4


def test_a_dot_shows_its_text_and_is_searched(page, site):
    pick_dot(page, TEXTS[0], site)
    page.locator("#panel-find .hits li").first.wait_for()
    asked = page.locator("#panel-find textarea").input_value()
    assert asked in TEXTS and texts(page.locator("#panel-find"))[0] == asked


def test_chips_filter_the_map_and_the_neighbours(page, site):
    page.locator("#chips").get_by_role("button", name="it's").click()
    panel = page.locator("#panel-find")
    panel.locator("textarea").fill(TEXTS[1])
    panel.locator("button.main").click()
    panel.locator(".hits li").first.wait_for()
    assert texts(panel) == [
        hit.text for hit in site.space.index("texts").index.search(TEXTS[1], 10, where="kind = 'it''s'")
    ]
    page.locator("#chips").get_by_role("button", name="Show all").click()
    page.wait_for_function("t => document.querySelector('#panel-find .hits .text').textContent === t", arg=TEXTS[1])


def test_the_map_is_coloured_by_any_field(wide):
    colours = []
    for field in ("", "kind", "length"):
        wide.select_option("#colour", field)
        wide.wait_for_timeout(150)
        colours.append(wide.evaluate(
            """() => {
                const dots = document.querySelector("#points"), copy = new OffscreenCanvas(dots.width, dots.height);
                const pen = copy.getContext("2d", { willReadFrequently: true });
                pen.drawImage(dots, 0, 0);
                const data = pen.getImageData(0, 0, dots.width, dots.height).data;
                return new Set(new Uint32Array(data.buffer)).size;
            }"""
        ))  # fmt: skip
    assert colours[0] < colours[1] < colours[2]


def test_texts_of_strangers_are_shown_as_they_are(page):
    panel = page.locator("#panel-find")
    panel.locator("textarea").fill(TRICK)
    panel.locator("button.main").click()
    panel.locator(".hits li").first.wait_for()
    assert texts(panel)[0] == TRICK
    assert page.locator("#panel-find img, #panel-find b").count() == 0


# Walk


def test_two_dots_are_a_walk_and_the_sentence_is_written_on_the_way(page, site):
    panel = go(page, "Walk")
    for row, area in ((0, 0), (33, 1)):
        pick_dot(page, TEXTS[row], site)
        page.wait_for_function(f"() => document.querySelectorAll('#panel-walk textarea')[{area}].value")
        assert page.locator("#hint").inner_text().startswith(("The start is set", "Now drag the slider")[area])
    a, b = (panel.locator("textarea").nth(i).input_value() for i in (0, 1))
    assert a in TEXTS and b in TEXTS
    slider = panel.locator("input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 6, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.2, 0.5, 0.8):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    page.mouse.up()
    step = int(slider.input_value())
    assert 25 <= step <= 38
    expected = site.space.vae.interpolate(a, b, at=[step / 40])[0]
    page.wait_for_function(
        "t => { const p = document.querySelector('#panel-walk .big'); return p.textContent === t && "
        "!p.closest('.result').hasAttribute('aria-busy'); }",
        arg=expected,
    )
    panel.get_by_role("button", name="Write 7 steps").click()
    panel.locator(".hits li").nth(6).wait_for()
    assert texts(panel, ".hits li") == [text.strip() for text in site.space.vae.interpolate(a, b, 7)]


def test_the_map_stays_where_it_is_when_a_dot_at_its_edge_is_clicked(wide):
    ends = [(10, 32000), (65000, 32000), (32000, 10), (32000, 65000)]
    wide.route("**/map", lambda route: route.fulfill(json=made_up_map(ends)))
    wide.route("**/items?ids=*", lambda route: route.fulfill(json={"items": [{"text": route.request.url[-1]}]}))
    wide.reload()
    wide.wait_for_selector("#chips button")
    panel, box = go(wide, "Walk"), wide.locator("#stage").bounding_box()
    unit = min(box["width"], box["height"]) * 0.94 / 65535
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    places = [(middle[0] + (x - 32767) * unit, middle[1] - (y - 32767) * unit) for x, y in ends]
    wide.mouse.move(*middle)
    wide.mouse.wheel(0, -10)  # the outermost dots are now a few pixels from the edge
    wide.mouse.click(*middle)
    assert wide.locator("#hint").inner_text().startswith("No dot is near there")
    for end, dot in enumerate((2, 3)):
        wide.mouse.click(*places[dot])
        wide.wait_for_function("([i, t]) => document.querySelectorAll('#panel-walk textarea')[i].value === t",
                               arg=[end, str(dot)])  # fmt: skip
    assert panel.locator("input[type=range]").is_enabled()
    wide.mouse.click(*places[0])  # a third one begins another walk
    wide.wait_for_function("() => document.querySelectorAll('#panel-walk textarea')[0].value === '0'")
    assert panel.locator("textarea").nth(1).input_value() == "" and not panel.locator("input[type=range]").is_enabled()
    assert wide.locator("#hint").inner_text().startswith("The start is set")


def test_a_sentence_goes_along_to_the_next_tool_that_has_none(wide):
    go(wide, "Find").locator("textarea").fill(TEXTS[2])
    for name in ("Rewrite", "Vary"):
        assert go(wide, name).locator("textarea").first.input_value() == TEXTS[2]
    go(wide, "Vary").locator("textarea").fill(TEXTS[3])
    assert go(wide, "Rewrite").locator("textarea").first.input_value() == TEXTS[2]


def test_two_typed_sentences_are_a_walk_by_keyboard(wide, site):
    panel = go(wide, "Walk")
    panel.locator("textarea").nth(0).fill(TEXTS[3])
    panel.locator("textarea").nth(1).fill(TEXTS[9])
    panel.locator("textarea").nth(1).press("Tab")
    assert panel.locator("input[type=range]").evaluate("slider => slider === document.activeElement")
    wide.keyboard.press("End")
    expected = site.space.vae.interpolate(TEXTS[3], TEXTS[9], 2)[1]
    wide.wait_for_function("t => document.querySelector('#panel-walk .big').textContent === t", arg=expected)
    assert panel.locator("input[type=range]").get_attribute("aria-valuetext") == "100% of the way"


# Rewrite


def test_a_slider_rewrites_and_shows_the_words(page, site):
    panel = go(page, "Rewrite")
    panel.locator("textarea").first.fill(BAD[0])
    panel.locator("select").select_option("1")
    panel.get_by_role("slider", name="mood").fill("1")
    panel.locator(".facts").wait_for()
    [expected] = shift(site.space.vae, [BAD[0]], site.space.attributes["mood"], 1.0, candidates=1)
    assert panel.locator(".big").inner_text().split() == expected.text.split()
    kept = [each.inner_text() for each in panel.locator(".diff span, .diff ins").all()]
    assert " ".join(kept).split() == expected.text.split()
    taken = [each.inner_text() for each in panel.locator(".diff span, .diff del").all()]
    assert " ".join(taken).split() == BAD[0].split()
    facts = panel.locator(".facts").inner_text()
    assert f"{expected_naturalness(site, BAD[0]):.2f} (higher" in facts
    assert "probability of mood" in facts and f"{round(100 * expected.similarity)}%" in facts and "naturalness" in facts


def test_pasted_lines_become_a_slider(page, site):
    panel = go(page, "Rewrite")
    name = f"warm-{time.monotonic_ns()}"
    panel.locator("summary").click()
    form = panel.locator("details form")
    form.get_by_label("Name").fill(name)
    form.get_by_label("Lines that have it").fill("\n".join(TEXTS[:10]) + "\n\n")
    form.get_by_label("Lines that lack it").fill("\n".join(TEXTS[40:50]))
    assert "10 and 10 lines." in form.inner_text()
    form.get_by_role("button").click()
    slider = panel.get_by_role("slider", name=name)
    slider.wait_for()
    assert site.space.attributes[name].examples == 20
    assert panel.get_by_text(f"not {name}").count() == 1
    panel.locator("textarea").first.fill(GOOD[1])
    panel.locator("select").select_option("1")
    panel.get_by_role("slider", name="mood").fill("-1")
    slider.fill("1")
    panel.get_by_text(f"probability of {name}").wait_for()
    assert "probability of mood" in panel.locator(".facts").inner_text()


def test_an_error_of_the_server_is_told_in_the_panel(wide):
    wide.on("console", lambda message: None)
    panel = go(wide, "Rewrite")
    panel.locator("summary").click()
    form = panel.locator("details form")
    form.get_by_label("Name").fill("few")
    form.get_by_label("Lines that have it").fill("one line")
    form.get_by_label("Lines that lack it").fill("one line")
    form.get_by_role("button").click()
    assert "at least two lines on each side" in form.get_by_role("alert").inner_text()


# Mix


def test_hits_are_blended_into_one_text(page, site):
    find = page.locator("#panel-find")
    find.locator("textarea").fill("the museum was near the soup .")
    find.locator("button.main").click()
    find.locator(".hits li").nth(2).wait_for()
    chosen = texts(find)[:3]
    for i in range(3):
        find.locator(".hits li").nth(i).get_by_text("Add to mix").click()
    panel = go(page, "Mix")
    assert page.locator("#tab-mix").inner_text() == "Mix (3)"
    panel.get_by_role("slider").nth(1).fill("2")
    panel.get_by_role("button", name="Write one text").click()
    panel.locator(".big").wait_for()
    expected = site.space.vae.blend(chosen, [1.0, 2.0, 1.0])
    assert panel.locator(".big").inner_text().split() == expected.split()


def test_a_minus_b_plus_c_is_the_sum_of_latents(page, site):
    panel = go(page, "Mix")
    a, b, c = TEXTS[2], TEXTS[10], TEXTS[30]
    for label, text in (("A", a), ("− B: what is taken away", b), ("+ C: what is put in its place", c)):
        panel.get_by_label(label, exact=True).fill(text)
    panel.get_by_role("button", name="Write A − B + C").click()
    panel.locator(".big").wait_for()
    first, second, third = site.space.vae.encode([a, b, c])
    [expected] = site.space.vae.decode((first - second + third)[None])
    assert panel.locator(".big").inner_text().split() == expected.split()


# Vary


def test_a_sum_that_changes_nothing_is_told(page, site):
    panel = go(page, "Mix")
    text = site.space.vae.reconstruct(TEXTS[:1])[0]
    page.route("**/v1/analogy", lambda route: route.fulfill(json={"text": text}))
    for label, value in (
        ("A", text),
        ("− B: what is taken away", TEXTS[1]),
        ("+ C: what is put in its place", TEXTS[1]),
    ):
        panel.get_by_label(label, exact=True).fill(value)
    panel.get_by_role("button", name="Write A − B + C").click()
    panel.get_by_text("The sum is written as A itself").wait_for()


def test_variations_are_those_of_the_library_and_are_copied_in_four_forms(page, site):
    panel = go(page, "Vary")
    panel.locator("textarea").fill(TEXTS[5])
    panel.get_by_label("How many").fill("4")
    panel.get_by_label("Seed").fill("3")
    panel.get_by_role("slider").first.fill("2")
    panel.get_by_role("button", name="Vary").click()
    panel.locator(".hits li").nth(3).wait_for()
    expected = site.space.vae.vary(TEXTS[5], 4, spread=2.0, seed=3)
    assert texts(panel) == [text.strip() for text in expected]
    assert copied(page, panel, "Text") == "\n".join(expected) + "\n"
    assert [row["text"] for row in csv.DictReader(io.StringIO(copied(page, panel, "CSV"), newline=""))] == expected
    asked = {"text": TEXTS[5], "n": 4, "spread": 2, "seed": 3}
    curl = copied(page, panel, "curl")
    assert json.loads(re.search(r"-d '(.*)'", curl)[1]) == asked and f"{site.url}/v1/vary" in curl
    code = copied(page, panel, "Python")
    compile(code, "copied", "exec")
    assert str(asked["seed"]) in code and TEXTS[5] in code


def test_the_copied_curl_and_python_give_the_same_result(wide, site):
    panel = go(wide, "Vary")
    strange = 'it\'s "quoted" \\ $HOME'
    panel.locator("textarea").fill(strange)
    panel.get_by_role("button", name="Vary").click()
    panel.locator(".hits li").first.wait_for()
    expected = site.space.vae.vary(strange, 5, seed=0)
    done = subprocess.run(
        [sys.executable, "-c", copied(wide, panel, "Python")], capture_output=True, text=True, timeout=30
    )
    assert str(expected) in done.stdout, done.stderr
    if shutil.which("curl"):
        done = subprocess.run(["sh", "-c", copied(wide, panel, "curl")], capture_output=True, text=True, timeout=30)
        assert json.loads(done.stdout)["texts"] == expected


# Keyboard, zoom, keys, headers


def test_tabs_and_map_are_used_by_keyboard(wide):
    wide.locator("#tab-find").focus()
    wide.keyboard.press("ArrowRight")
    assert wide.evaluate("document.activeElement.id") == "tab-walk"
    assert wide.locator("#panel-walk").is_visible() and not wide.locator("#panel-find").is_visible()
    wide.keyboard.press("Home")
    wide.locator("#stage").focus()
    for key in ("+", "+", "ArrowRight", "ArrowUp", "0"):
        wide.keyboard.press(key)
    for _ in range(12):
        if wide.locator("#tip").is_visible():
            break
        wide.keyboard.press("-")
        wide.wait_for_timeout(80)
    wide.keyboard.press("Enter")
    wide.locator("#panel-find .hits li").first.wait_for()
    assert wide.locator("#panel-find textarea").input_value() in TEXTS


def test_every_control_has_a_name(page):
    for name in ("Find", "Walk", "Rewrite", "Mix", "Vary"):
        go(page, name)
        unnamed = page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, meter')]
            .filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length
                || e.placeholder)).map(e => e.outerHTML)""")
        assert unnamed == []


def test_a_finger_reads_a_dot_and_finds_its_neighbours(chromium, site):
    context = chromium.new_context(viewport={"width": 400, "height": 900}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(site.url)
    page.wait_for_selector("#chips button")
    box = page.locator("#stage").bounding_box()
    data = json.loads(site.space.map("texts").answer())
    unit = min(box["width"] - 2, box["height"] - 2) * 0.94 / data["scale"]
    x = box["x"] + box["width"] / 2 + (data["x"][8] - data["scale"] / 2) * unit
    page.touchscreen.tap(x, box["y"] + box["height"] / 2 - (data["y"][8] - data["scale"] / 2) * unit)
    page.locator("#panel-find .hits li").first.wait_for()
    assert page.locator("#hint").inner_text() == "Its neighbours are listed below."
    assert page.locator("#tip").inner_text() == page.locator("#panel-find textarea").input_value()
    context.close()


def test_a_wheel_zooms_and_a_drag_moves(wide):
    picture = (
        "() => document.querySelector('#points').toDataURL().length + document.querySelector('#points').toDataURL()"
    )
    box = wide.locator("#stage").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    pictures = [wide.evaluate(picture)]
    wide.mouse.move(*middle)
    wide.mouse.wheel(0, -400)
    wide.wait_for_timeout(150)
    pictures.append(wide.evaluate(picture))
    wide.mouse.down()
    wide.mouse.move(middle[0] + 90, middle[1] + 40, steps=4)
    wide.mouse.up()
    wide.wait_for_timeout(150)
    pictures.append(wide.evaluate(picture))
    wide.get_by_role("button", name="Whole map").click()
    wide.wait_for_timeout(150)
    pictures.append(wide.evaluate(picture))
    assert len(set(pictures)) == 3 and pictures[3] == pictures[0]


def made_up_map(points, pending=False):
    fields = [{"name": "kind", "kind": "groups", "values": ["a", "b"], "codes": [i % 2 for i in range(len(points))]}]
    xs, ys = zip(*points, strict=True)
    return {
        "method": "pca", "pending": pending, "total": len(points), "scale": 65535, "ids": list(range(len(points))),
        "x": xs, "y": ys, "fields": fields,
    }  # fmt: skip


def test_far_texts_do_not_make_a_speck_of_the_others(wide):
    crowd = [(1000 + 40 * (i % 20), 1000 + 40 * (i // 20)) for i in range(400)]
    wide.route("**/map", lambda route: route.fulfill(json=made_up_map([*crowd, (65535, 65535), (65000, 65535)])))
    wide.reload()
    wide.wait_for_selector("#chips button")
    wide.wait_for_timeout(200)
    inked = """() => {
        const dots = document.querySelector("#points"), copy = new OffscreenCanvas(dots.width, dots.height);
        const pen = copy.getContext("2d", { willReadFrequently: true });
        pen.drawImage(dots, 0, 0);
        const data = new Uint32Array(pen.getImageData(0, 0, dots.width, dots.height).data.buffer), paper = data[0];
        const columns = [...data.keys()].filter(i => data[i] !== paper).map(i => i % dots.width);
        return columns.reduce((a, b) => Math.max(a, b), 0) - columns.reduce((a, b) => Math.min(a, b), dots.width);
    }"""
    assert wide.evaluate(inked) > 350
    wide.get_by_role("button", name="Whole map").click()
    wide.wait_for_timeout(200)
    assert wide.evaluate(inked) > 500  # the far ones are there too


def test_a_sketch_is_replaced_when_the_map_is_ready(wide):
    left = [made_up_map([(0, 0), (9, 9), (5, 7)], pending=True)]
    done = made_up_map([(0, 9), (9, 0), (5, 7)]) | {"method": "pacmap"}
    wide.route("**/map", lambda route: route.fulfill(json=left.pop() if left else done))
    wide.reload()
    wide.get_by_text("This is a first sketch").wait_for()
    wide.get_by_text("This is a first sketch").wait_for(state="detached")


def test_the_policy_forbids_everything_outside(wide, site):
    answer = wide.request.get(site.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy and "data:" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_paths_lead_to_files_of_the_page_alone(wide, site):
    for name in ("../routes/page.py", "..%2froutes%2fpage.py", "%2e%2e/page.py", "app.py", "", "/etc/passwd"):
        assert wide.request.get(f"{site.url}/static/{name}").status in (404, 405)


def test_the_page_has_no_inner_html_and_no_outside_address():
    folder = Path(maps.__file__).parent / "page"
    for file in folder.iterdir():
        source = file.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source), (
            file
        )
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source), file


def test_a_server_with_a_key_asks_for_it(chromium, server_vae):
    page = chromium.new_page()
    with served(Workspace(server_vae, "tiny"), "a-key-of-this-test") as url:
        page.goto(url)
        page.locator("#key").fill("a-wrong-key-of-this-test")
        page.get_by_role("button", name="Go on").click()
        page.locator("#door[open]").wait_for()
        page.locator("#key").fill("a-key-of-this-test")
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("Model tiny").wait_for()
        assert page.locator("#panel-vary").is_visible()  # there is no index to find anything in
        page.close()
