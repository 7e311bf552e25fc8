"""The lesson "A first GAN" runs from its first line to its last, as a notebook and in a terminal, at toy size."""

import json
import re
import shlex
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
WIDTHS = "-s arch.generator_widths=[16] -s arch.discriminator_widths=[16]"
SHORTER = (
    (r"\bminutes=1\b", "images=512, batch_size=64, **TOY"),
    (r"images=60_000,", "images=512, batch_size=64,"),
    (r"images=180_000", "images=1024"),
    (r'\*\*\{"train', '**TOY, **{"train'),
    (r"count=2000", "count=200, modes=True"),
    (r"steps=100", "steps=2"),
    (r"frames=60", "frames=4"),
    (
        r"--minutes 1|--images 60000",
        "--images 512 --batch-size 64 -s arch.generator_widths=[16] -s arch.discriminator_widths=[16]",
    ),
    (r"--images 180000", "--images 1024"),
    (r"-n 2000", "-n 200 --modes"),
    (r"(gancli interpolate .*)", r"\1 --frames 4"),
)
TOY = 'TOY = {"arch.generator_widths": [16], "arch.discriminator_widths": [16]}\n'


def shorter(text):
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    return text


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("gancli_page")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(EXAMPLES / "first-gan.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), "clear the outputs before you commit"
    for cell in cells:
        cell.source = shorter(cell.source)
    cells[0].source = TOY + cells[0].source
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (tmp_path / "executed.ipynb").write_text(json.dumps(notebook))
    trained = next(cell for cell in cells if "gancli.train" in cell.source)
    pages = [output["data"]["text/html"] for output in trained.outputs if "text/html" in output.get("data", {})]
    assert "<th>diversity</th>" in pages[0]  # the live table, in its last state
    assert "<progress" not in pages[0]
    assert "8 steps, 512 images" in pages[1]  # the run, as the last line of the cell
    kinds = [kind for cell in cells for output in cell.outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") == 4  # three grids and the curves
    assert "image/gif" in kinds
    assert {"demo.html", "walk.gif", "runs"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_commands_of_the_page_run_in_their_order(tmp_path, monkeypatch, capfdbinary):
    from gancli.cli.app import run

    pytest.importorskip("gancli_page")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"^    (gancli [^\n#]*)", (EXAMPLES / "first-gan.md").read_text(), re.MULTILINE)
    assert len(found) > 10
    for command in found:
        code = run(shlex.split(shorter(command.strip()))[1:])
        assert code == 0, f"{command}\n{capfdbinary.readouterr().err.decode()}"
    made = {"first.png", "first.gif", "collapsed.png", "cured.png", "compare.png", "walk.gif", "demo.html", "report.html"}
    assert made <= {path.name for path in tmp_path.iterdir()}
