"""What a notebook shows: a bar that is a widget, and reports as small tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

_CELL = """
import numpy as np
import bigunet

plane = np.arange(1200, dtype=np.uint16).reshape(40, 30)
bigunet.predict(plane, MODEL, client=bigunet.ClusterSpec("threads"), progress=True)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_has_a_widget_as_bar_and_a_table_as_report(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel of this environment, whatever others are installed for the user.
    kernel = tmp_path / "kernels/here"
    kernel.mkdir(parents=True)
    words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": words, "display_name": "here", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    cell = nbformat.v4.new_code_cell(_CELL.replace("MODEL", repr(str(tiny_model))))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, kernel_name="here", timeout=120).execute()
    shown = [output.get("data", {}) for output in notebook.cells[0].outputs]
    assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)
    assert "<table><tr><th>image</th><td>the array</td>" in shown[-1]["text/html"]
    assert shown[-1]["text/plain"].startswith("<Prediction: shape (40, 30)")
    # Nothing but the bar was printed.
    assert not [o for o in notebook.cells[0].outputs if o.output_type == "stream"]
