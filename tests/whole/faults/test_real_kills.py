"""H3: real processes, killed at random times; see killer.py, which also runs the soak."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLER = Path(__file__).with_name("killer.py")
KILLS = 20


@pytest.mark.slow
def test_F01_F02_F03_killed_trainings_end_as_one_that_never_stopped():
    command = [sys.executable, "-W", "error", str(KILLER), "--kills", str(KILLS), "--arch", "dense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] == KILLS
    assert report["wrong"] == []
