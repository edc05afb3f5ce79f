"""Hydra and besom: Hydra builds the config and makes a folder for each job; besom logs it.

    pip install hydra-core
    python train.py model.hidden=64                 # alone
    python train.py -m model.hidden=32,64,128       # Hydra's own sweep
    besom sweep sweep.yaml                          # besom's: Hydra gets ++model.hidden=64

Hydra may change the working directory of the job. besom writes its journal by an absolute path, so the run is in your
store all the same, and `besom runs` finds it from anywhere.
"""

import math

import hydra
from omegaconf import DictConfig

import besom


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    run = besom.init(project="hydra", config=config)  # an omegaconf config, nested: config.model.hidden is one key
    for step in range(config.train.steps):
        loss = 1 / math.sqrt(config.model.hidden) + math.exp(-step * config.train.lr)
        run.log({"loss": loss})
    run.finish()


if __name__ == "__main__":
    main()
