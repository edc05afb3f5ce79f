"""Beginning a run: its name and place, what is active already, resuming, and what an agent assigned."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.core import record as rec
from besom.core.errors import ConfigError, UsageError
from besom.journal.file import header
from besom.sdk import assign, current, provenance
from besom.sdk.assign import Assignment
from besom.sdk.redact import redact


def test_a_run_says_who_it_is(store: Any) -> None:
    with besom.init(
        project="dkt",
        entity="ada",
        name="first",
        notes="a try",
        tags="new",
        group="g",
        job_type="train",
        config={"lr": 1},
    ) as run:
        assert besom.run is run and run.path == f"ada/dkt/{run.id}" and re.fullmatch("[0-9a-z]{8}", run.id)
        assert (run.entity, run.project, run.step, run.resumed, run.offline, run.url) == (
            "ada",
            "dkt",
            0,
            False,
            True,
            None,
        )
    assert besom.run is None
    (path,) = store.paths()
    assert path.parent == store.folder / "journals" and header(path).run == run.id
    state = store.folded().state
    assert (state.id, state.entity, state.project, state.name) == (run.id, "ada", "dkt", "first")
    assert (state.notes, state.tags, state.group, state.job_type) == ("a try", ("new",), "g", "train")
    assert state.meta["args"] is not None and state.meta["pid"] > 0 and state.meta["python"]
    assert state.config == {"lr": 1}


def test_a_name_is_made_up_that_a_person_can_say(store: Any) -> None:
    with besom.init() as run:
        assert re.fullmatch(r"[a-z]+-[a-z]+-\d{3}", run.name)
        assert run.project == "uncategorized"


def test_fields_can_be_assigned(store: Any) -> None:
    with besom.init(tags=["a"]) as run:
        run.name = "better"
        run.notes = None
        run.tags += ("b", "a")
        run.group = "g"
        run.job_type = "eval"
        assert (run.name, run.notes, run.tags, run.group, run.job_type) == ("better", "", ("a", "b"), "g", "eval")
    state = store.folded().state
    assert (state.name, state.tags, state.group, state.job_type) == ("better", ("a", "b"), "g", "eval")


@pytest.mark.parametrize(
    ("given", "called"), [("My Project", "My-Project"), ("a/b", "a-b"), ("/", "uncategorized"), ("ümlaut", "mlaut")]
)
def test_a_project_with_odd_letters_gets_a_name_that_fits(
    store: Any, capsys: pytest.CaptureFixture[str], given: str, called: str
) -> None:
    with besom.init(project=given) as run:
        assert run.project == called
    assert f"the project {given!r} is called {called!r}" in capsys.readouterr().err


def test_what_init_cannot_mean_is_an_error_before_the_training_starts(store: Any) -> None:
    with pytest.raises(ConfigError, match='Did you mean "offline"'):
        besom.init(mode="ofline")
    with pytest.raises(UsageError, match="a run id has"):
        besom.init(id="a/b")
    with pytest.raises(UsageError, match="a config"):
        besom.init(config=3)
    assert besom.run is None and store.paths() == []


def test_arguments_that_w_and_b_takes_are_taken(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with besom.init(
        anonymous="allow", save_code=True, sync_tensorboard=True, force=False, dir="somewhere", magic=True,
        monitor_gym=False, settings=besom.Settings(start_method="fork", code_dir="."), projct="x",
    ) as run:  # fmt: skip
        run.log({"a": 1})
    told = capsys.readouterr().err
    assert """init() has no 'projct'; it is ignored. Did you mean "project"?""" in told
    assert '"start_method" is not a setting of besom' in told
    assert "somewhere" not in told and store.rows() == [(0, {"a": 1})]


def test_a_script_written_for_another_name_runs_as_it_is(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import besom as wandb

    assert wandb.login(key="x") is True
    wandb.init(project="p", config=argparse.Namespace(lr=0.1))
    assert wandb.run is not None
    wandb.run.name = "n"
    wandb.config.update({"depth": 3}, allow_val_change=True)
    wandb.define_metric("acc", summary="max")
    wandb.watch(object(), log="all")
    wandb.run.log_code(".")
    table = wandb.plot.line_series([[1]], [[2]], keys=["a"])
    wandb.log({"acc": 0.5, "chart": table})
    wandb.run.summary["done"] = True
    wandb.finish()
    assert store.folded().state.summary["acc.max"] == 0.5
    told = capsys.readouterr().err
    for name in ("watch", "run.log_code", "plot"):
        assert told.count(f"{name} is not in besom yet") == 1


def test_init_twice_returns_the_active_run_in_a_script(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first = besom.init(config={"a": 1})
    assert besom.init(config={"b": 2}) is first
    assert dict(first.config) == {"a": 1, "b": 2}
    assert f"run {first.name} is active already, and init() returns it" in capsys.readouterr().err
    first.finish()
    assert besom.init() is not first


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_reinit_ends_the_run_before(store: Any, reinit: Any) -> None:
    first = besom.init()
    second = besom.init(reinit=reinit)
    assert first.ended is not None and first.ended.state == "finished" and besom.run is second


def test_two_runs_side_by_side(store: Any) -> None:
    first = besom.init(name="first")
    second = besom.init(name="second", reinit="create_new")
    first.log({"a": 1})
    second.log({"b": 1})
    second.finish()
    assert besom.run is first
    first.finish()
    found = {store.folded(path).state.name: store.rows(path) for path in store.paths()}
    assert found == {"first": [(0, {"a": 1})], "second": [(0, {"b": 1})]}


def test_in_a_notebook_a_new_init_finishes_the_old(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "get_ipython", lambda: object(), raising=False)
    first = besom.init()
    second = besom.init()
    assert second is not first and first.ended is not None and first.ended.state == "finished"
    assert besom.init(reinit=False) is second


def test_a_run_goes_on_where_it_stopped(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with besom.init(project="p", id="mine", name="long", config={"lr": 1}, tags=["t"]) as run:
        for i in range(3):
            run.log({"i": i})
        run.summary["best"] = 7
    (done := store.folder / "journals" / "done").mkdir()
    (path,) = store.paths()
    path.rename(done / path.name)  # as a reader does with what it has seen
    with besom.init(project="p", id="mine", resume="allow", config={"seed": 1}) as run:
        assert run.resumed and run.starting_step == run.step == 3
        assert dict(run.config) == {"lr": 1, "seed": 1} and run.name == "long" and run.tags == ("t",)
        assert run.summary["best"] == 7 and run.summary["i"] == 2
        run.log({"i": 3})
    assert "goes on at step 3" in capsys.readouterr().err
    first, second = sorted(store.paths(), key=lambda path: header(path).created)
    assert header(first).run == header(second).run and header(first).stream != header(second).stream
    assert store.rows(second) == [(3, {"i": 3})]


def test_an_id_without_resume_is_a_new_stream_from_step_0(store: Any) -> None:
    for _ in range(2):
        with besom.init(id="mine") as run:
            assert not run.resumed
            run.log({"i": 0})
    assert [store.rows(path) for path in store.paths()] == [[(0, {"i": 0})]] * 2


def test_resume_must_and_never(store: Any) -> None:
    with pytest.raises(UsageError, match='there is no run mine, and resume="must" insists on it'):
        besom.init(id="mine", resume="must")
    besom.init(id="mine", resume="never").finish()
    with pytest.raises(UsageError, match='run mine exists, and resume="never" refuses it'):
        besom.init(id="mine", resume="never")
    besom.init(id="mine", resume="must").finish()
    with besom.init(id="mine-2") as other:
        assert not other.resumed, "an id that only begins alike is another run"


def sweep_file(folder: Path, text: str | None = None) -> str:
    path = folder / "params.yaml"
    path.write_text(text or "version: 1\nlr: {value: 0.01}\nnet:\n  value: {depth: 3}\nflag: {value: false}\n")
    return str(path)


def test_an_agent_decides_and_its_values_are_locked(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "RUN_ID": "t1", "SWEEP_ID": "s1", "SWEEP_PARAM_PATH": sweep_file(tmp_path), "ATTEMPT": "2", "ENTITY": "ada",
        "PROJECT": "swept", "NAME": "trial-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"BESOM_{name}", value)
    with besom.init(project="mine", entity="me", id="x", config={"lr": 9, "seed": 1}) as run:
        assert run.path == "ada/swept/t1" and run.sweep_id == "s1" and run.name == "trial-1"
        run.config.lr = 5
        assert dict(run.config) == {"lr": 0.01, "seed": 1, "net": {"depth": 3}, "flag": False}
    state = store.folded().state
    assert (state.sweep, state.attempt, state.config["lr"]) == ("s1", 2, 0.01)
    told = capsys.readouterr().err
    assert told.count("is ignored: the sweep decides") == 1 and told.count("config.lr was chosen by the sweep") == 1


def test_the_other_spelling_of_an_assignment_works_too(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RUN_ID": "t1", "SWEEP_ID": "s1", "SWEEP_PARAM_PATH": sweep_file(tmp_path)}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    assert assign.current() == Assignment(
        "t1", sweep="s1", params={"lr": 0.01, "net": {"depth": 3}, "flag": False},
        entity=besom.Settings().entity, project="uncategorized",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "params"),
    [
        (json.dumps({"lr": {"value": 1e-05}, "x": {"value": "1e-5"}}), {"lr": 1e-05, "x": "1e-5"}),
        ("{lr: {value: 0.5}}", {"lr": 0.5}),
        ("version: 1\n", {}),
        ("a.b: {value: [1, {c: 2}]}\n", {"a.b": [1, {"c": 2}]}),
    ],
)
def test_parameter_files(tmp_path: Path, text: str, params: dict[str, Any]) -> None:
    assert assign.read_params(Path(sweep_file(tmp_path, text))) == params


@pytest.mark.parametrize("text", ["a: [", "- 1\n"])
def test_a_broken_parameter_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: the values chosen by the sweep"):
        assign.read_params(Path(sweep_file(tmp_path, text)))
    with pytest.raises(ConfigError, match="none"):
        assign.read_params(tmp_path / "none.yaml")


def test_a_function_trial_is_assigned_in_process(store: Any) -> None:
    assign.set(Assignment("t1", "one", "s1", 1, {"lr": 0.1}, "ada", "p"))
    first = besom.init(config={"lr": 3})
    assert (first.path, first.config.lr, first.name) == ("ada/p/t1", 0.1, "one")
    assign.set(Assignment("t2", "two", "s1", 1, {"lr": 0.2}, "ada", "p"))
    second = besom.init(name="own name")
    assert first.ended is not None and (second.id, second.config.lr, second.name) == ("t2", 0.2, "own name")
    second.finish()
    assign.set(None)
    with besom.init() as third:
        assert third.sweep_id is None


def test_hydra_may_change_the_working_directory(store: Any, script: Any) -> None:
    done = script("import besom, os\nos.makedirs('out')\nrun = besom.init()\nos.chdir('out')\nbesom.log({'a': 1})\n"
                  "assert run.summary['a'] == 1", BESOM_DIR="relative")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (store.folder.parent / "relative").rglob("*.besom")
    assert store.rows(path) == [(0, {"a": 1})]


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({}, "See it: besom run mine"),
        ({"BESOM_SERVER": "http://127.0.0.1:9", "BESOM_MODE": "offline"}, "See it: BESOM_MODE=offline besom run mine"),
        ({"BESOM_SERVER": "http://127.0.0.1:9"}, "See it: http://127.0.0.1:9/ada/dkt/runs/mine"),
    ],
)
def test_the_exact_line_to_see_it(
    store: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], env: dict[str, str], line: str
) -> None:
    started: list[Any] = []
    monkeypatch.setattr("besom.sdk.carrier.start", started.append)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    besom.init(id="mine", entity="ada", project="dkt").finish()
    assert [told.endswith(line) for told in capsys.readouterr().err.splitlines()] == [True, True]
    assert len(started) == ("http" in line), "a carrier is started only when there is a server to carry to"


def test_a_store_given_in_the_script_is_part_of_the_line(
    store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    besom.init(id="mine", settings=besom.Settings(dir=tmp_path / "my runs")).finish()
    assert f"BESOM_DIR='{tmp_path}/my runs' besom run mine" in capsys.readouterr().err


def test_a_notebook_is_of_the_repository_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, commit in (("outer", "1" * 40), ("outer/inner", "2" * 40)):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / ".git" / "HEAD").write_text(f"{commit}\n")
    monkeypatch.chdir(tmp_path / "outer" / "inner")
    monkeypatch.setattr(provenance, "program", lambda: "")
    assert provenance.collect()["git_commit"] == "2" * 40
    monkeypatch.setattr(provenance, "program", lambda: "-m train")
    assert provenance.collect()["git_commit"] == "2" * 40


def test_a_folder_that_was_removed_does_not_stop_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(provenance, "program", lambda: "")
    assert "cwd" not in provenance.collect()


def test_where_a_run_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "repo" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/topic/x\n")
    (git / "packed-refs").write_text("# pack-refs\n1111111111111111111111111111111111111111 refs/heads/topic/x\n")
    (git / "config").write_text('[remote "origin"]\n\turl = https://me:token@git.example/besom.git\n\tfetch = x\n')
    inside = tmp_path / "repo" / "a" / "b"
    inside.mkdir(parents=True)
    assert provenance.commit(inside) == {
        "git_commit": "1" * 40, "git_branch": "topic/x", "git_remote": "https://git.example/besom.git"
    }  # fmt: skip
    (git / "refs" / "heads" / "topic").mkdir()
    (git / "refs" / "heads" / "topic" / "x").write_text("2" * 40 + "\n")
    assert provenance.commit(inside)["git_commit"] == "2" * 40
    (git / "HEAD").write_text("3" * 40 + "\n")
    assert provenance.commit(inside)["git_commit"] == "3" * 40 and "git_branch" not in provenance.commit(inside)
    tree = tmp_path / "tree"
    tree.mkdir()
    (git / "worktrees" / "tree").mkdir(parents=True)
    (git / "worktrees" / "tree" / "HEAD").write_text("ref: refs/heads/topic/x\n")
    (git / "worktrees" / "tree" / "commondir").write_text("../..\n")
    (tree / ".git").write_text(f"gitdir: {git}/worktrees/tree\n")
    assert provenance.commit(tree)["git_commit"] == "2" * 40
    (git / "HEAD").write_bytes(b"\xff\xfe")
    assert provenance.commit(inside) == {}
    assert provenance.commit(tmp_path) == {}
    monkeypatch.setenv("RANK", "3")
    assert provenance.collect(git=False, host="box")["rank"] == "3" and provenance.collect(host="box")["host"] == "box"


@pytest.mark.parametrize(
    ("args", "kept"),
    [
        (["--lr", "0.1", "--max_tokens", "100", "--tokenizer", "bpe"], None),
        (["--api-key", "abc", "--x"], ["--api-key", "[redacted]", "--x"]),
        (["--token=abc", "--hf-token", "t"], ["--token=[redacted]", "--hf-token", "[redacted]"]),
        (["--password", "--lr"], None),
        (["sk-abcdefghijklmnopqrstuvwx"], ["[redacted]"]),
        (["--url=https://me:pw@host/x"], ["--url=https://host/x"]),
        (["db.password=hunter2", "key=value"], ["db.password=[redacted]", "key=value"]),
    ],
)
def test_secrets_in_arguments_are_redacted(args: list[str], kept: list[str] | None) -> None:
    assert redact(args) == (args if kept is None else kept)


def test_a_git_repository_is_found_as_git_itself_says(store: Any, script: Any, tmp_path: Path) -> None:
    import subprocess

    def git(*args: str) -> str:
        config = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *config, *args], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "x")
    script("import besom\nbesom.init().finish()")
    meta = store.of(rec.Run)[0].meta
    assert meta["git_commit"] == git("rev-parse", "HEAD").strip() and meta["git_branch"] == "main"
    assert meta["program"] == str(tmp_path / "script.py")
