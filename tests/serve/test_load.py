"""Under load: nothing that was acknowledged is lost, memory stays, and a burst does not bring it down."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from bench import load


@pytest.mark.slow
def test_at_80_percent_and_in_a_burst_nothing_is_lost_memory_is_flat_and_it_is_as_before_by_itself(tmp_path):
    load.put_into_operation(tmp_path)
    command = [sys.executable, "-m", "mlwild.cli", "serve", "bench_app.py", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().split(":")[-1].split()[0])
        found = load.measure(port, process.pid, tmp_path, 20 / 60, 5.0)
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()
    before, burst, after = found["parts"]
    for part in (before, after):
        assert (part["codes"].keys(), part["told"], part["broken"]) == ({"200"}, 0, 0)
        assert part["statuses"]["normal"] >= 0.99 * part["codes"]["200"]
    # All of the burst are answered, or told when to come again.
    assert burst["broken"] == 0
    assert burst["codes"]["200"] + burst["told"] == burst["sent"]
    assert burst["told"] > 0
    # The clients that flood it share its cores: what is left is answered, rather than nothing.
    assert burst["codes"]["200"] / 5.0 > 0.1 * found["capacity"]
    assert not math.isnan(found["recovered"])
    # What it remembers of requests that may come again: 64 MB of answers at most.
    assert after["front"] - before["front"] < 64 + 20
    assert abs(after["workers"] - before["workers"]) < 30
    said = load.held_against(found["kept"], tmp_path / ".mlwild" / "operate" / "bench" / "served")
    assert said["acknowledged"] > 1000
    assert (said["lost"], said["doubled"]) == (0, 0)
