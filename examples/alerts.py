"""Alerts: a message from inside a training, and "my run finished / failed / crashed", in Slack.

    besom alerts add slack https://hooks.slack.com/services/...     # once
    besom alerts test
    python examples/alerts.py

Without a channel the alerts are kept with the run and shown on the page. With no network they go out later; the run is
not slowed down.
"""

import random
import time

import besom

run = besom.init(project="alerts", config={"threshold": 0.8})
accuracy = 0.5
for step in range(40):
    accuracy += random.gauss(0.0, 0.08)
    besom.log({"accuracy": accuracy})
    if accuracy < run.config["threshold"]:
        besom.alert(
            title="Accuracy is low",
            text=f"{accuracy:.2f} at step {step}, below {run.config['threshold']}",
            level="WARN",
            wait_duration=60,  # seconds in which the same title is not sent again
        )
    time.sleep(0.02)
besom.finish()
