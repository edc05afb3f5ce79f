"""Lightning and the Trainer of Transformers, the real ones. They need torch, whose wheels are gigabytes, so this file is not among
the tests that run by themselves. In an environment that has them, from the root of the checkout:

    pip install -e . pytest torch lightning transformers accelerate
    python -m pytest tests/integrations/with_torch.py
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import besom

from .test_adapters import example

torch.manual_seed(0)
X = torch.randn(64, 4)
Y = X[:, :1].clone()
LOADER = DataLoader(TensorDataset(X, Y), batch_size=16)


def curve(run: Any, key: str) -> list[tuple[int, Any]]:
    return [(row["_step"], row[key]) for row in run.scan_history(keys=[key, "_step"])]


class Lit(pl.LightningModule):
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 1)

    def _loss(self, batch: Any) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("val_loss", self._loss(batch))

    def test_step(self, batch: Any, _: int) -> None:
        self.log("test_loss", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


def test_lightning(own_home: Path, tmp_path: Path) -> None:
    from besom.integrations.lightning import BesomLogger

    logger = BesomLogger(project="lit", name="fit", log_model=True)
    keep = pl.callbacks.ModelCheckpoint(monitor="val_loss")
    options = {
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 2,
    }
    trainer = pl.Trainer(max_epochs=3, logger=logger, callbacks=[keep], default_root_dir=tmp_path, **options)
    trainer.fit(Lit(lr=0.05), LOADER, LOADER)
    trainer.test(ckpt_path="best", dataloaders=LOADER, verbose=False)
    assert besom.run is not None and f"lit/{besom.run.id}/checkpoints" in keep.best_model_path
    besom.finish()

    (run,) = besom.Api().runs("lit")
    assert (run.name, run.state, run.config["lr"]) == ("fit", "finished", 0.05)
    assert [step for step, _ in curve(run, "train_loss")] == [1, 3, 5, 7, 9, 11]
    losses = curve(run, "val_loss")
    assert [step for step, _ in losses] == [3, 7, 11] and losses[-1][1] < losses[0][1]
    assert run.summary["test_loss"] == pytest.approx(min(value for _, value in losses), rel=1e-5)


class Pairs(Dataset[Any]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": X[index], "labels": Y[index]}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        guess = self.layer(x)
        return {"loss": torch.nn.functional.mse_loss(guess, labels), "logits": guess}


@pytest.mark.parametrize("way", ["report_to", "callbacks"])
def test_transformers(own_home: Path, tmp_path: Path, way: str) -> None:
    from transformers import Trainer, TrainingArguments

    from besom.integrations.huggingface import BesomCallback

    reported = way == "report_to"
    args = TrainingArguments(
        output_dir=str(tmp_path), run_name="first", num_train_epochs=2, per_device_train_batch_size=16, learning_rate=0.1,
        logging_steps=2, eval_strategy="epoch", save_strategy="no", use_cpu=True, disable_tqdm=True,
        report_to="besom" if reported else "none",
    )  # fmt: skip
    with_it = [] if reported else [BesomCallback(project="hf")]
    trainer = Trainer(Net(), args, train_dataset=Pairs(), eval_dataset=Pairs(), callbacks=with_it)
    trainer.train()
    trainer.evaluate()
    besom.finish()

    (run,) = besom.Api().runs(None if reported else "hf")
    assert (run.name, run.config["learning_rate"]) == ("first", 0.1)
    assert [step for step, _ in curve(run, "train/loss")] == [2, 4, 6, 8]
    assert [step for step, _ in curve(run, "eval/loss")] == [4, 8, 8]
    assert run.summary["train_runtime"] > 0


@pytest.mark.parametrize(
    ("title", "metric"), [("PyTorch Lightning", "train_loss"), ("Hugging Face Transformers", "train/loss")]
)
def test_the_example_of_the_docs(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str, metric: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(example(title))
    runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")
    besom.finish()
    (run,) = besom.Api().runs("lines")
    assert run.state == "finished" and len(curve(run, metric)) > 1
