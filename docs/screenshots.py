"""Make the pictures of the README: a store with a sweep in it, the real server, a real browser.

    python docs/screenshots.py            # needs playwright, and a Chromium on the PATH

The curves are simulated, from a fixed seed; everything else is what a user gets.
"""

import argparse
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SWEEP = {
    "name": "learning rate and dropout",
    "method": "grid",
    "metric": {"name": "val_loss", "goal": "minimize"},
    "parameters": {
        "lr": {"values": [1e-2, 3e-3, 1e-3, 1e-4]},
        "drop_out": {"values": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]},
        "seed": {"values": [1, 2]},
    },
}
STEPS = 120


def seed(store):
    """Fill the store through the public face, as a script would; returns the id of the sweep in it."""
    os.environ |= {
        "BESOM_DIR": str(store),
        "BESOM_CONFIG_DIR": str(store / "config"),
        "BESOM_ENTITY": "lab",
        "BESOM_SILENT": "1",
    }
    sys.path.insert(0, str(ROOT))
    import besom

    def train():
        with besom.init() as run:
            lr, drop_out = run.config["lr"], run.config["drop_out"]
            chance = random.Random(repr(dict(run.config)))
            depth = (
                0.30 + 0.05 * abs(math.log10(lr) + 2.7) ** 1.5 + 0.8 * (drop_out - 0.22) ** 2 + chance.gauss(0, 0.015)
            )
            speed = 0.25 * lr**0.4 * chance.uniform(0.85, 1.15)
            for step in range(STEPS):
                left = math.exp(-step * speed)
                gap = 0.20 * (1 - left) * (0.55 - drop_out)
                noise = chance.gauss(0, 0.01 + 1.5 * lr)
                train_loss, val_loss = depth - gap / 2 + 1.9 * left + noise, depth + gap + 1.9 * left + 1.4 * noise
                besom.log({"train_loss": train_loss, "train_acc": 1 / (1 + train_loss**1.8) + noise / 6}, commit=False)
                besom.log({"val_loss": val_loss, "val_acc": 1 / (1 + val_loss**1.6) + noise / 4}, commit=False)
                besom.log(
                    {
                        "grad_norm": (0.4 + 3 * left) * math.exp(chance.gauss(0, 0.15)),
                        "lr": lr * 0.5 * (1 + math.cos(math.pi * step / STEPS)),
                    }
                )

    sweep_id = besom.sweep(SWEEP, project="dkt")
    besom.agent(sweep_id, function=train)
    return sweep_id


def shoot(sweep, folder, chromium):
    """Serve the store and take one picture of each page."""
    from playwright.sync_api import sync_playwright

    server = subprocess.Popen(
        [sys.executable, "-m", "besom", "server", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
    )
    try:
        address = re.search(r"http://\S+", server.stdout.readline())[0]
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium)
            for name, path in (
                ("workspace", "/lab/dkt?by=config.lr&metric=val_loss"),
                ("sweep", f"/lab/dkt/sweeps/{sweep}"),
            ):
                page = browser.new_page(viewport={"width": 1440, "height": 900}, device_scale_factor=1.5)
                page.goto(address + path)
                page.wait_for_load_state("load")
                page.wait_for_timeout(2500)
                page.screenshot(path=folder / f"{name}.png")
                print(folder / f"{name}.png")
                page.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store:
        shoot(seed(Path(store)), args.folder, args.chromium)


if __name__ == "__main__":
    main()
