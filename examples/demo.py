"""The main job on real data, in one command: a sweep over the digits example, two agents, the best run, and the page.

    python examples/demo.py                 # or: make demo
    python examples/demo.py --no-serve      # end after naming the best
    python examples/demo.py --port 9000

Each step is a command that you could have typed; they are printed. Everything it keeps is in .demo/ in this folder.
"""

import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def besom(*words, capture=False, check=True):
    """Run a besom command in the digits folder, over the demo's own store; its output if `capture`."""
    print(f"\n$ besom {shlex.join(word for word in words if word != '--json')}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "besom", *words],
        cwd=HERE / "digits",
        stdout=subprocess.PIPE if capture else None,
        text=True,
    )
    if check and done.returncode:
        sys.exit(done.returncode)  # it has said why
    return done.stdout


def free_port(wanted):
    """`wanted` if nothing listens there, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    return wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-serve", action="store_true", help="do not serve the page at the end")
    parser.add_argument(
        "--port", type=int, default=None, help="port of the page (8080, or a free one when that is taken)"
    )
    parser.add_argument("--agents", type=int, default=2, help="agents at once (2)")
    parser.add_argument("--store", type=Path, default=HERE.parent / ".demo", help="folder of the demo's store")
    args = parser.parse_args()

    try:
        import sklearn  # noqa: F401
    except ImportError:
        sys.exit("the demo needs scikit-learn's digits: pip install scikit-learn")

    for name in [name for name in os.environ if name.startswith(("BESOM_", "WANDB_"))]:
        del os.environ[name]  # the demo is the same for everyone
    os.environ |= {"BESOM_DIR": str(args.store), "BESOM_CONFIG_DIR": str(args.store / "config"), "OMP_NUM_THREADS": "1"}
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)

    print("A real network on scikit-learn's digits; besom looks for the learning rate and the dropout.")
    made = json.loads(besom("sweep", "sweep.yaml", "--json", capture=True))
    sweep = f"{made['entity']}/{made['project']}/{made['id']}"
    print(f"sweep {sweep}: {made['method']}, {made['goal']} {made['metric']}, {made['budget']} runs")

    besom("agent", sweep, "-n", str(args.agents), "--quiet")
    besom("runs", "--sweep", sweep, "--sort", made["metric"], "--limit", "5")

    if args.no_serve:
        return
    port = args.port or free_port(8080)
    place = f"http://127.0.0.1:{port}/{made['entity']}/{made['project']}"
    print(f"\nruns     {place}\nsweep    {place}/sweeps/{made['id']}")
    print(f"Ctrl-C ends the demo; what it logged stays in {args.store}", flush=True)
    try:
        besom("server", "--port", str(port))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
