"""The nearest real clusters that one machine holds: Slurm's own daemons (Debian's packages) and a local Ray, on 127.0.0.1."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CONF = """\
ClusterName=besom
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
MpiDefault=none
KillWait=4
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def daemon(name: str) -> str | None:
    """Where a daemon is; sbin is not in everybody's path."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def slurm_is_missing() -> str:
    """Why no Slurm can be started here, or ""."""
    missing = [name for name in DAEMONS if daemon(name) is None] + ["sbatch"] * (shutil.which("sbatch") is None)
    packages = "slurmctld, slurmd, slurm-client and munge"
    return f"no {missing[0]} on this machine: install the packages {packages}" if missing else ""


def _port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def slurm() -> Iterator[None]:
    """A cluster of one node with 16 processors to give away, which this process's environment points to."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="besom-slurm-")))
        for name in ("state", "spool"):
            (folder / name).mkdir()
        host, conf, key = socket.gethostname().partition(".")[0], folder / "slurm.conf", folder / "key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        conf.write_text(CONF.format(host=host, control=_port(), node=_port(), user=getpass.getuser(), folder=folder))

        def start(name: str, *words: str) -> None:
            log = stack.enter_context((folder / f"{name}.out").open("w"))
            process = subprocess.Popen([str(daemon(name)), *words], stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)

        files = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
        start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/socket", *files)
        os.environ["SLURM_CONF"] = str(conf)
        stack.callback(os.environ.pop, "SLURM_CONF")
        until = time.monotonic() + 60
        while not (folder / "socket").exists():
            assert time.monotonic() < until, (folder / "munged.out").read_text()
            time.sleep(0.02)
        start("slurmctld", "-D", "-f", str(conf))
        start("slurmd", "-D", "-f", str(conf), "-N", host)
        while "idle" not in subprocess.run(["sinfo", "-ho", "%T"], capture_output=True, text=True).stdout:
            assert time.monotonic() < until, (folder / "slurmctld.log").read_text() + (
                folder / "slurmd.log"
            ).read_text()
            time.sleep(0.1)
        yield
        subprocess.run(["scancel", "--full", "--signal=KILL", "--user", getpass.getuser()], capture_output=True)


@contextmanager
def ray() -> Iterator[None]:
    """A local cluster with 16 processors to give away and little memory; this process is connected to it."""
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # else it keeps one in the home
    os.environ.update(own)
    import ray  # reads them once

    with tempfile.TemporaryDirectory(prefix="besom-ray-", ignore_cleanup_errors=True) as folder:
        small = {"include_dashboard": False, "object_store_memory": 80 * 2**20, "log_to_driver": False}
        ray.init("local", num_cpus=16, _temp_dir=folder, **small)
        try:
            yield
        finally:
            ray.shutdown()
            for name in own:
                del os.environ[name]
