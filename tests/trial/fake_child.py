"""Stands in for a training: reads a job, and writes the outcome of a made-up world.

Losses fall from 2.3 at the rate that WORLD (JSON: text of treatments -> speed) gives; 90 steps.
"""

import json
import os
import shutil
import sys
from pathlib import Path

job_file = Path(sys.argv[1])
job = json.loads(job_file.read_text())["job"]
world = json.loads(os.environ["WORLD"])
FULL = 90

if job["treatments"] in world.get("refused", {}):
    told = {"ended": "refused", "error": world["refused"][job["treatments"]]}
    (job_file.parent / "outcome.json").write_text(json.dumps(told))
    sys.exit()
if world.get("crash") and not job["treatments"]:
    print("Traceback: it broke")
    sys.exit(1)
speed = next((v for k, v in world["speed"].items() if k in job["treatments"]), 0.01)
speed += 0.001 * job["seed"]
steps = min(job["steps"] or FULL, FULL)
losses = [2.3 - speed * s / FULL for s in range(steps)]
if world.get("broken"):
    losses[-1] = None
whole = not job["steps"]
if whole:
    print("acc", f"{speed / 2.3:.4f}" if not world.get("broken") else "nan")
if job["watch"]:
    shutil.copy(os.environ["RUN"], job_file.parent / "run.evenflow")
outcome = {
    "ended": "finished" if whole else "horizon",
    "steps": steps,
    "start": 0.01,
    "loss_steps": list(range(steps)),
    "losses": losses,
    "applied": True,
}
(job_file.parent / "outcome.json").write_text(json.dumps(outcome))
