"""Train a small knowledge-tracing model: will this student answer the next question right?

    python train.py --lr=1e-3 --drop_out=0.2          # alone
    besom sweep sweep.yaml                            # or as a sweep; it prints the next line to paste

No data set and no framework are needed: the answers of 300 students are simulated from how able each student is and
how hard each question is, and a logistic model learns both back, with dropout on what it knows of a student.
`import besom as wandb` works too: the calls are the same.
"""

import argparse

import numpy as np

import besom


def simulate_answers(rng, students=300, questions=40):
    """(n, 2) pairs of student and question, and (n,) answers: 1.0 is right."""
    ability, difficulty = rng.normal(0, 1, students), rng.normal(0, 1, questions)
    pairs = np.stack(np.meshgrid(np.arange(students), np.arange(questions), indexing="ij"), axis=-1).reshape(-1, 2)
    chance = 1 / (1 + np.exp(difficulty[pairs[:, 1]] - ability[pairs[:, 0]]))
    return pairs, (rng.random(len(pairs)) < chance).astype(float)


def predict(model, pairs, keep=1.0):
    """The chance of a right answer; `keep` weighs each student's part (dropout while training)."""
    return 1 / (1 + np.exp(model["question"][pairs[:, 1]] - keep * model["student"][pairs[:, 0]]))


def measure(model, pairs, answers):
    """Mean log loss and accuracy."""
    chance = np.clip(predict(model, pairs), 1e-7, 1 - 1e-7)
    loss = -np.mean(answers * np.log(chance) + (1 - answers) * np.log(1 - chance))
    return float(loss), float(np.mean((chance > 0.5) == answers))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--drop_out", type=float, default=0.2, help="share of the students' parts left out of a step")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--name", default=None, help="name of the run; a readable random one when not given")
    args = parser.parse_args()

    config = {"lr": args.lr, "drop_out": args.drop_out, "epochs": args.epochs}
    run_name = args.name

    besom.login()
    run = besom.init(project="dkt", config=config, name=run_name)
    config = besom.config

    rng = np.random.default_rng(0)
    pairs, answers = simulate_answers(rng)
    order = rng.permutation(len(pairs))
    train, val = order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :]
    besom.config.update({"train_size": len(train), "val_size": len(val), "optimizer": "adam"})

    model = {"student": rng.normal(0, 1, 300), "question": rng.normal(0, 1, 40)}
    first = {name: np.zeros_like(part) for name, part in model.items()}
    second = {name: np.zeros_like(part) for name, part in model.items()}
    step = 0
    for _ in range(config["epochs"]):
        for batch in np.array_split(rng.permutation(train), 40):
            step += 1
            keep = (rng.random(len(batch)) >= config["drop_out"]) / (1 - config["drop_out"])
            error = predict(model, pairs[batch], keep) - answers[batch]
            gradients = {name: np.zeros_like(part) for name, part in model.items()}
            np.add.at(gradients["student"], pairs[batch, 0], error * keep / len(batch))
            np.add.at(gradients["question"], pairs[batch, 1], -error / len(batch))
            for name, gradient in gradients.items():
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.99 * second[name] + 0.01 * gradient**2
                scale = np.sqrt(second[name] / (1 - 0.99**step)) + 1e-8
                model[name] -= config["lr"] * first[name] / (1 - 0.9**step) / scale
        train_loss, train_acc = measure(model, pairs[train], answers[train])
        val_loss, val_acc = measure(model, pairs[val], answers[val])
        besom.log({"train_loss": train_loss, "train_acc": train_acc}, commit=False)  # waits for the rest of the row
        besom.log({"val_loss": val_loss, "val_acc": val_acc})

    besom.log({"norm": float(np.abs(model["student"]).mean())}, step=config["epochs"])
    run.summary["final_val_loss"] = val_loss
    run.summary["students"] = 300
    print(f"val_loss {val_loss:.4f}  val_acc {val_acc:.3f}")
    besom.finish()


if __name__ == "__main__":
    main()
