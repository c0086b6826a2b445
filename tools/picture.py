"""Make ``docs/img/demo.png``: what ``tradewind demo`` writes in a terminal, beside the map it draws.

``python tools/picture.py``, with the extra ``demo`` installed and Chromium on the path. The demo runs for real, in a
terminal of its own and a fresh data directory.
"""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

OUT = Path(__file__).parents[1] / "docs" / "img" / "demo.png"
COLUMNS = 76
SIZE = (1640, 760)
"""Of the picture, in CSS pixels; it is drawn at 1.2 times that."""
THEME = TerminalTheme(
    (15, 36, 44),
    (214, 226, 230),
    [(15, 36, 44), (214, 92, 92), (126, 200, 150), (222, 178, 92)]
    + [(110, 168, 220), (190, 150, 214), (94, 194, 200), (214, 226, 230)],
    [(126, 146, 153), (235, 120, 120), (150, 220, 170), (240, 200, 120)]
    + [(140, 190, 240), (210, 175, 235), (125, 215, 220), (255, 255, 255)],
)
LIVE = re.compile(r"\x1b\[(?:\?25[lh]|\d*[ABCDGJKH])")
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; width: {width}px; height: {height}px; display: flex; background: #fff; }}
.terminal {{ background: #0f242c; padding: 0 30px; box-sizing: border-box; width: 750px; display: flex; }}
pre {{ margin: auto 0; font: 15px/1.48 "DejaVu Sans Mono", monospace; color: #d6e2e6; }}
.map {{ flex: 1; display: flex; align-items: center; justify-content: center; }}
.map img {{ width: 850px; }}
</style><div class="terminal">{terminal}</div><div class="map"><img src="data:image/png;base64,{map}"></div>"""


def run_demo(directory: Path) -> str:
    """Run the demo in a terminal and return all that it wrote there; its map is left in ``directory``."""
    written: list[bytes] = []

    def read(descriptor: int) -> bytes:
        written.append(os.read(descriptor, 65536))
        return written[-1]

    os.environ.update(TRADEWIND_DATA_DIR=str(directory / "data"), TRADEWIND_CONFIG_DIR=str(directory / "config"))
    os.environ.update(COLUMNS=str(COLUMNS), LINES="60", TERM="xterm-256color", COLORTERM="truecolor")
    program = "from tradewind.cli import main; main(prog_name='tradewind')"
    status = pty.spawn([sys.executable, "-c", program, "demo", "--out", str(directory / "map.png")], read)
    if status:
        raise SystemExit("the demo failed; see above")
    return b"".join(written).decode()


def last_state(written: str) -> list[str]:
    """Return the lines that stand on the screen at the end, of a program that moves the cursor up and erases."""
    screen: list[str] = [""]
    at = 0
    for part in re.split(r"(\x1b\[\d*[A-KJ]|\x1b\[\?25[lh]|\r\n|\n|\r)", written):
        if part in {"\n", "\r\n"}:
            at += 1
            screen += [""] * (at + 1 - len(screen))
        elif match := re.fullmatch(r"\x1b\[(\d*)A", part):
            at = max(0, at - int(match[1] or 1))
        elif re.fullmatch(r"\x1b\[\d*K", part):
            screen[at] = ""
        elif part and part != "\r" and not LIVE.fullmatch(part):
            screen[at] += part
    return screen


def main() -> None:
    """Make the picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("there is no Chromium on the path; install it, for Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        lines = last_state(run_demo(directory))
        console = Console(record=True, width=COLUMNS + 4, file=io.StringIO(), force_terminal=True)
        console.print(Text.from_ansi("\x1b[36m$\x1b[0m \x1b[1mtradewind demo\x1b[0m"))
        for line in lines:
            shown = line.replace(str(directory / "map.png"), "tradewind-demo.png")
            console.print(Text.from_ansi(shown), no_wrap=True, crop=True)
        terminal = console.export_html(theme=THEME, inline_styles=True, code_format="<pre>{code}</pre>")
        page = directory / "page.html"
        drawn = base64.b64encode((directory / "map.png").read_bytes()).decode()
        page.write_text(PAGE.format(width=SIZE[0], height=SIZE[1], terminal=terminal, map=drawn), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1.2"]
        shot = [f"--screenshot={directory / 'shot.png'}", f"--window-size={SIZE[0]},{SIZE[1]}", page.as_uri()]
        subprocess.run([chromium, *options, *shot], check=True, capture_output=True)
        from PIL import Image  # comes with matplotlib

        Image.open(directory / "shot.png").convert("RGB").save(OUT, optimize=True)
    print(f"{OUT}: {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
