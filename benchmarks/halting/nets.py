"""A small network in numpy, trained epoch by epoch: enough of one that its learning curves cross and diverge as real
ones do. It knows no task."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

Floats = Any


def curve(
    train: tuple[Floats, Floats],
    valid: tuple[Floats, Floats],
    *,
    layers: tuple[int, ...],
    lr: float,
    batch: int,
    epochs: int,
    seed: int,
    kind: str,
    momentum: float = 0.9,
    adam: bool = False,
    l2: float = 0.0,
    dropout: float = 0.0,
    decay: float = 1.0,
    tanh: bool = False,
) -> Iterator[float]:
    """The validation value after each epoch. `kind`: "error" or "loss" of a classifier (y: whole classes), or "mse"
    (y: (n, outputs)). `decay`: the learning rate is multiplied by it after each epoch."""
    dice = np.random.default_rng(seed)
    x, y = train
    classes = kind != "mse"
    target = np.eye(int(y.max()) + 1, dtype=np.float32)[y] if classes else y.astype(np.float32)
    sizes = [x.shape[1], *layers, target.shape[1]]
    scale = 1.0 if tanh else 2.0
    weights = [(dice.standard_normal((a, b)) * np.sqrt(scale / a)).astype(np.float32) for a, b in pairwise(sizes)]
    params = weights + [np.zeros(b, np.float32) for b in sizes[1:]]
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    k, step = len(weights), 0
    for _ in range(epochs):
        order = dice.permutation(len(x))
        for start in range(0, len(x), batch):
            pick = order[start : start + batch]
            step += 1
            gradients = _gradients(params, k, x[pick], target[pick], classes, tanh, dropout, dice)
            for i, g in enumerate(gradients):
                if l2 and i < k:
                    g = g + np.float32(l2) * params[i]
                if adam:
                    first[i] = np.float32(momentum) * first[i] + np.float32(1 - momentum) * g
                    second[i] = np.float32(0.999) * second[i] + np.float32(0.001) * g * g
                    size = lr * np.sqrt(1 - 0.999**step) / (1 - momentum**step)
                    params[i] -= np.float32(size) * first[i] / (np.sqrt(second[i]) + np.float32(1e-7))
                else:
                    first[i] = np.float32(momentum) * first[i] - np.float32(lr) * g
                    params[i] += first[i]
        lr *= decay
        yield _judged(params, k, valid, kind, tanh)


def _forward(params: list[Floats], k: int, x: Floats, tanh: bool, dropout: float, dice: Any) -> list[Floats]:
    outs = [x]
    for i in range(k):
        h = outs[-1] @ params[i] + params[k + i]
        if i < k - 1:
            h = np.tanh(h) if tanh else np.maximum(h, 0)
            if dropout:
                h *= (dice.random(h.shape, dtype=np.float32) >= dropout) / np.float32(1 - dropout)
        outs.append(h)
    return outs


def _gradients(
    params: list[Floats], k: int, x: Floats, t: Floats, classes: bool, tanh: bool, dropout: float, dice: Any
) -> list[Floats]:
    outs = _forward(params, k, x, tanh, dropout, dice)
    delta = (_softmax(outs[-1]) - t if classes else outs[-1] - t) / np.float32(len(x))
    by_weight: list[Floats] = [None] * k
    by_bias: list[Floats] = [None] * k
    for i in reversed(range(k)):
        by_weight[i], by_bias[i] = outs[i].T @ delta, delta.sum(axis=0)
        if i:
            delta = delta @ params[i].T
            delta = delta * (1 - outs[i] ** 2) if tanh else delta * (outs[i] > 0)
    return by_weight + by_bias


def _judged(params: list[Floats], k: int, valid: tuple[Floats, Floats], kind: str, tanh: bool) -> float:
    x, y = valid
    out = _forward(params, k, x, tanh, 0.0, None)[-1]
    if kind == "mse":
        return float(((out - y) ** 2).mean())
    if kind == "error":
        return float((out.argmax(axis=1) != y).mean()) if np.isfinite(out).all() else np.nan
    return float(-np.log(np.maximum(_softmax(out)[np.arange(len(y)), y], 1e-12)).mean())


def _softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
