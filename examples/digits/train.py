"""A real network on real data, in numpy alone: scikit-learn's 1,797 handwritten digits, two hidden layers with dropout.

    pip install scikit-learn
    python train.py --lr=1e-3 --drop_out=0.2
    besom sweep sweep.yaml

The loss is cross-entropy in nats. A trial takes one to three seconds on one core.
"""

import argparse
import itertools
import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # matrices this small are slower on many threads, above all with many agents

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import besom


class Network:
    """Relu layers with inverted dropout after each hidden one, trained by Adam. `sizes`: inputs, hidden..., classes."""

    def __init__(self, sizes, drop_out, rng):
        self.drop_out, self.rng, self.step = drop_out, rng, 0
        self.weights = [rng.normal(0, np.sqrt(2 / a), (a, b)) for a, b in itertools.pairwise(sizes)]
        self.weights += [np.zeros(b) for b in sizes[1:]]
        self.first = [np.zeros_like(w) for w in self.weights]
        self.second = [np.zeros_like(w) for w in self.weights]

    def forward(self, x, train=False):
        """(n, classes) logits, and what backward() needs: the input of each layer and each dropout mask."""
        depth = len(self.weights) // 2
        inputs, masks = [], []
        for i in range(depth):
            inputs.append(x)
            x = x @ self.weights[i] + self.weights[depth + i]
            if i < depth - 1:
                x = np.maximum(x, 0)
                mask = (self.rng.random(x.shape) >= self.drop_out) / (1 - self.drop_out) if train else np.ones(1)
                masks.append(mask)
                x = x * mask
        return x, inputs, masks

    def fit(self, x, y, lr):
        """One step of Adam on a batch; returns its loss."""
        logits, inputs, masks = self.forward(x, train=True)
        chance = softmax(logits)
        loss = -np.mean(np.log(chance[np.arange(len(y)), y] + 1e-12))
        delta = chance.copy()
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        depth = len(inputs)
        gradients = [None] * len(self.weights)
        for i in reversed(range(depth)):
            gradients[i], gradients[depth + i] = inputs[i].T @ delta, delta.sum(axis=0)
            if i:
                delta = (delta @ self.weights[i].T) * (inputs[i] > 0) * masks[i - 1]
        self.step += 1
        for i, gradient in enumerate(gradients):
            self.first[i] += 0.1 * (gradient - self.first[i])
            self.second[i] += 0.001 * (gradient**2 - self.second[i])
            size = np.sqrt(self.second[i] / (1 - 0.999**self.step)) + 1e-8
            self.weights[i] -= lr * self.first[i] / (1 - 0.9**self.step) / size
        return float(loss)

    def score(self, x, y):
        """Loss and accuracy without dropout."""
        chance = softmax(self.forward(x)[0])
        loss = -np.mean(np.log(chance[np.arange(len(y)), y] + 1e-12))
        return float(loss), float(np.mean(chance.argmax(axis=1) == y))


def softmax(logits):
    """Rows that sum to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--drop_out", type=float, default=0.2, help="share of hidden units left out of a step")
    parser.add_argument("--hidden", type=int, default=96, help="units in each hidden layer")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    run = besom.init(project="digits", config=vars(args))
    config = run.config

    digits = load_digits()
    x_train, x_val, y_train, y_val = train_test_split(
        digits.data / 16, digits.target, test_size=0.3, random_state=0, stratify=digits.target
    )
    rng = np.random.default_rng(config["seed"])
    network = Network([64, config["hidden"], config["hidden"], 10], config["drop_out"], rng)
    besom.config.update({"train_size": len(x_train), "val_size": len(x_val)})

    best_acc = 0.0
    for epoch in range(config["epochs"]):
        batches = np.array_split(rng.permutation(len(x_train)), len(x_train) // config["batch"])
        losses = [network.fit(x_train[batch], y_train[batch], config["lr"]) for batch in batches]
        besom.log({"train_loss": float(np.mean(losses)), "train_acc": network.score(x_train, y_train)[1]}, commit=False)
        val_loss, val_acc = network.score(x_val, y_val)
        besom.log({"val_loss": val_loss, "val_acc": val_acc, "epoch": epoch})
        best_acc = max(best_acc, val_acc)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3d}  val_loss {val_loss:.4f}  val_acc {val_acc:.4f}")

    run.summary["best_val_acc"] = best_acc
    besom.finish()


if __name__ == "__main__":
    main()
