"""The public face is a list, and it stays what it is whatever else is imported."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import besom

ROOT = Path(__file__).resolve().parents[1]
FACE = {
    "AlertLevel", "Api", "Artifact", "Audio", "Histogram", "Html", "Image", "Run", "Settings", "Stopped", "Table", "Video",
    "agent", "alert", "config", "define_metric", "finish", "init", "log", "log_artifact", "login", "mark_preempting", "run",
    "save", "summary", "sweep", "use_artifact",
}  # fmt: skip


def test_the_face_is_this_list() -> None:
    assert set(besom.__all__) == FACE
    assert len(besom.__all__) == len(FACE)
    assert set(dir(besom)) >= FACE


USE_EACH_TWICE = """
import importlib, pkgutil
import besom

def use():
    run = besom.init(project="p", config={"lr": 1})
    assert besom.run is run and isinstance(run, besom.Run)
    besom.log({"a": 1, "h": besom.Histogram([1]), "t": besom.Table(["x"], [[1]]), "page": besom.Html("x")})
    besom.define_metric("a", summary="max")
    besom.alert(title="t", text="x", level=besom.AlertLevel.INFO)
    besom.config.seed = 1
    besom.config = {"more": 2}
    besom.summary["best"] = 1
    besom.summary = {"other": 2}
    assert besom.config.lr == 1 and besom.config.more == 2 and besom.summary["best"] == 1
    assert besom.save("nothing*") == []
    besom.log_artifact(besom.Artifact("model", type="model"))
    besom.use_artifact("model")
    besom.mark_preempting()
    for medium in (besom.Image, besom.Audio, besom.Video): assert callable(medium)
    assert besom.login() is True
    assert besom.Settings(mode="offline").mode == "offline"
    assert issubclass(besom.Stopped, BaseException)
    besom.finish()
    assert besom.run is None
    sweep = besom.sweep({"method": "grid", "metric": {"name": "loss"}, "parameters": {"lr": {"values": [1, 2]}}}, project="p")
    seen = []
    def train():
        besom.init()
        seen.append(besom.config.lr)
        besom.log({"loss": besom.config.lr})
    besom.agent(sweep, function=train, project="p")
    assert seen == [1, 2], seen
    api = besom.Api()
    assert len(api.runs("p", {"sweep": sweep})) == 2
    assert api.run(f"p/{run.id}").summary["best"] == 1

IMPORT
use()
use()
print("used")
"""
IMPORT_ALL = """
for found in pkgutil.walk_packages(besom.__path__, "besom."):
    if not found.name.endswith("__main__") and not found.name.startswith("besom.integrations."):
        importlib.import_module(found.name)
"""


@pytest.mark.parametrize("before", ["", IMPORT_ALL], ids=["alone", "after importing every submodule"])
def test_each_name_works_twice(before: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(USE_EACH_TWICE.replace("IMPORT\n", before + "\n"))
    env = {**os.environ, "BESOM_DIR": str(tmp_path / "store"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("used\n"), done.stderr


def test_no_submodule_hides_a_name_of_the_face() -> None:
    inside = {found.name for found in pkgutil.iter_modules(besom.__path__)}
    assert not inside & FACE
    for name in sorted(FACE - {"run"}):
        assert not isinstance(getattr(besom, name), types.ModuleType), name


@pytest.mark.parametrize(
    "heavy", ["numpy", "httpx", "rich", "pandas", "sqlalchemy", "click", "psutil", "yaml", "starlette"]
)
def test_importing_besom_loads_nothing_heavy(heavy: str) -> None:
    code = f"import sys, besom; sys.exit({heavy!r} in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
        ).returncode
        == 0
    )


def test_logging_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, besom\nwith besom.init(project='p') as run:\n besom.log({'a': 1})\nprint(sorted(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BESOM_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert not {"numpy", "httpx", "sqlalchemy", "psutil", "yaml", "subprocess"} & set(
        ast.literal_eval(done.stdout.splitlines()[-1])
    )


def test_a_typing_error_is_told_with_the_nearest_name() -> None:
    with pytest.raises(AttributeError, match='besom has no .lgo.*Did you mean "log"'):
        besom.lgo  # noqa: B018
    assert not hasattr(besom, "__wrapped__") and not hasattr(besom, "nonsense")


def test_what_scripts_use_and_we_lack_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    face: Any = besom
    assert repr(face.plot.confusion_matrix(y_true=[1]).x) == "<besom.plot.confusion_matrix.x: not in besom yet>"
    face.watch(object())
    with face.setup() as something:
        something.anything()
    told = capsys.readouterr().err
    assert all(told.count(f"{name} is not in besom yet") == 1 for name in ("plot", "watch", "setup"))


def test_a_script_may_choose_an_id_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    face: Any = besom
    ids = {face.util.generate_id() for _ in range(10)} | {face.util.generate_id(length=12)}
    assert len(ids) == 11 and all(id.isalnum() and len(id) in (8, 12) for id in ids)
    assert capsys.readouterr().err == ""
    face.util.image_id_from_k8s()
    assert "util.image_id_from_k8s is not in besom yet" in capsys.readouterr().err


def test_names_can_be_imported() -> None:
    namespace: dict[str, Any] = {}
    exec("from besom import *", namespace)  # noqa: S102
    assert set(namespace) >= FACE
    assert importlib.import_module("besom").config is namespace["config"]
