"""How fast the page is: `python -m benchmarks.page` prints one JSON object and the machine it was measured on.

start_seconds: from `python app.py` to an answering page. embed_seconds: of one whole embedding by the fast preset, with
steps_per_second made and previews_per_second that reached the browser, which runs on the same machine. slider_ms: of
that face with its photo and its delta, median from a slider's movement in the browser to the new picture, decoded;
slowest_slider_ms: the slowest. rss_mb: of the server after that, and peak_rss_mb at most.
load: of the machine before; above 1 a core the figures are those of a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
MOVEMENTS = 20
MOVED = """async (slider) => {
  const shown = document.querySelector("#fl-viewer-attributes .fl-view-after");
  const before = shown.src, start = performance.now();
  slider.value = Number(slider.value) + Number(slider.step);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  while (shown.src === before) await new Promise(requestAnimationFrame);
  await shown.decode();
  return performance.now() - start;
}"""
STEP = "Number(document.querySelector('.fl-progress-text')?.textContent.match(/step (\\d+)/)?.[1] || 0)"


def measure() -> dict[str, float]:
    """Start the page, embed one example in a browser, and measure."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, started = f"http://127.0.0.1:{port}", time.monotonic()
    server = subprocess.Popen([sys.executable, str(ROOT / "app.py"), "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        while not answers(url):
            if server.poll() is not None:
                raise SystemExit("app.py ended before its page answered.")
            time.sleep(0.05)
        figures = {"start_seconds": time.monotonic() - started}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(600_000)
            page.goto(url)
            page.locator(".fl-example").first.click()
            page.get_by_role("button", name="Embed this face").click()
            page.wait_for_function(f"{STEP} >= 1")
            begun, before = time.monotonic(), page.evaluate(f"[{STEP}, facelab.previews || 0]")
            page.wait_for_selector(".fl-embedding[data-state=done]")
            seconds, after = time.monotonic() - begun, page.evaluate(f"[{STEP}, facelab.previews || 0]")
            figures["embed_seconds"] = seconds
            figures["steps_per_second"] = (after[0] - before[0]) / seconds
            figures["previews_per_second"] = (after[1] - before[1]) / seconds
            moves = slider_moves(page)
            figures["slider_ms"], figures["slowest_slider_ms"] = statistics.median(moves), max(moves)
            browser.close()
        for name, field in (("rss_mb", "VmRSS"), ("peak_rss_mb", "VmHWM")):
            figures[name] = memory(server.pid, field)
        return figures
    finally:
        server.terminate()
        server.wait(30)


def slider_moves(page: Page) -> list[float]:
    """Milliseconds from each movement of an attribute's slider to the new picture of the embedded face."""
    page.get_by_role("tab", name="Attributes", exact=True).click()
    page.wait_for_function("document.querySelector('#fl-viewer-attributes .fl-view-after')?.src.startsWith('data:')")
    slider = page.get_by_label("Smile: serious to smiling")
    moves = []
    for _ in range(MOVEMENTS):
        moves.append(slider.evaluate(MOVED))
        page.wait_for_timeout(500)  # until the picture at rest has come too
    return moves


def answers(url: str) -> bool:
    """Whether the page is there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def memory(pid: int, field: str) -> float:
    """A field of /proc/<pid>/status in MB (Linux only)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) / 1024


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    load = os.getloadavg()[0]
    figures = {name: round(value, 2) for name, value in measure().items()}
    print(json.dumps({**figures, "load": round(load, 1), "machine": machine()}))
