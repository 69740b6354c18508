"""Laws of the GPUs that are visible: those of CUDA, also in containers and with MIG."""

from __future__ import annotations

import json
import os
from pathlib import Path

SCRIPT = """
from bigunet.machine.gpus import visible_gpus
import json, os
cases = json.loads(os.environ["CASES"])
answers = []
for gpus, visible in cases:
    os.environ["FAKE_NVML_GPUS"] = gpus
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    answers.append([[gpu.name, gpu.memory_bytes] for gpu in visible_gpus()])
print(json.dumps(answers))
"""
TWO, CUT = "8000000000,24000000000", "80000000000/10000000000/20000000000"
FIRST, SECOND = (f"MIG-0000000{k}-0000-0000-0000-000000000000" for k in (1, 2))
CASES = [
    (TWO, None, [["0", 8_000_000_000], ["1", 24_000_000_000]]),
    (TWO, "1,0", [["1", 24_000_000_000], ["0", 8_000_000_000]]),
    (TWO, "GPU-00000000-0000-0000-0000-000000000001", [["1", 24_000_000_000]]),
    (TWO, "", []),  # hidden on purpose
    (TWO, "-1", []),
    (TWO, "NoDevFiles", []),  # what the container runtime sets
    (TWO, "1,7,0", [["1", 24_000_000_000]]),  # none is seen after one that is not there
    (CUT, None, [[FIRST, 10_000_000_000], [SECOND, 20_000_000_000]]),
    (CUT, SECOND, [[SECOND, 20_000_000_000]]),
    (CUT, "0", [[FIRST, 10_000_000_000]]),  # CUDA takes the first
    ("0", None, [["0", 0]]),  # it shares the host's memory
    ("", None, []),
]


def test_gpus_are_those_that_cuda_would_show_with_their_memory(with_gpus, ask) -> None:
    environment = with_gpus("") | {"CASES": json.dumps([case[:2] for case in CASES])}
    answers = json.loads(ask(SCRIPT, environment))
    for (gpus, visible, expected), seen in zip(CASES, answers, strict=True):
        assert seen == expected, (gpus, visible)


def test_without_gpus_a_line_says_what_is_missing(ask, tmp_path: Path) -> None:
    script = f"""
import pathlib, sys
from bigunet.engine.clusters.cuda import why_no_cuda_cluster
from bigunet.machine.gpus import visible_gpus
here, gone = pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(tmp_path / "gone")!r})
for missing, driver in (((), gone), (("pynvml",), gone), (("pynvml", "dask_cuda"), here)):
    sys.modules.update(dict.fromkeys(missing))
    print(len(visible_gpus()), why_no_cuda_cluster((driver,)))
"""
    none, unknown, idle = ask(script, dict(os.environ)).splitlines()
    assert none == unknown == "0 no GPU is here"
    assert idle.startswith("0 a GPU is here, but dask-cuda, which gives each worker its own, is")
