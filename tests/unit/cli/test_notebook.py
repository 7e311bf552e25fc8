import re

import pytest

pytest.importorskip("IPython")

from gancli.cli import notebook
from gancli.images import to_png


@pytest.fixture
def shown(monkeypatch):
    """What the one display has held, newest last."""
    pages = []

    class Handle:
        def update(self, page):
            pages.append(page.data)

    monkeypatch.setattr(notebook, "display", lambda page, display_id: pages.append(page.data) or Handle())  # noqa: ARG005  (the signature is given)
    return pages


def text_of(page):
    return [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", page)]


def test_the_table_grows_with_a_running_row_and_a_bar(shown, clock, events):
    with notebook.NotebookConsole(clock) as console:
        assert "loading torch" in shown[-1]
        console(events.preparing)
        assert "decoding pictures: 1,200 of 5,000" in shown[-1]
        clock.seconds += 0.5
        console(events.started)
        console(events.progress())
        assert text_of(shown[-1])[1][:2] == ["1/3", "5"]
        assert 'value="0.1667"' in shown[-1]
        assert "00:41 left" in shown[-1]
        console(events.epoch())
        console(events.alarm)
    head, row = text_of(shown[-1])[:2]
    assert head == ["epoch", "step", "D", "loss", "G", "loss", "D(x)", "D(G(z))", "FD", "diversity", "img/s", "time"]
    assert row == ["1/3", "10", "1.250", "0.500", "0.61", "0.42", "17.42", "0.71", "5,100", "00:12"]
    assert "All pictures look alike" in shown[-1]


def test_progress_is_shown_twice_a_second_and_the_end_at_once(shown, clock, events):
    with notebook.NotebookConsole(clock) as console:
        console(events.started)
        console(events.progress(1))
        before = len(shown)
        console(events.progress(2))
        assert len(shown) == before
        clock.seconds += 0.5
        console(events.progress(3))
        assert len(shown) == before + 1
        console.stopping()
        console(events.epoch())
        assert "finishing the step" in shown[-1]
        console(events.ended)
    assert "done: runs/a-run" in shown[-1]
    assert "<progress" not in shown[-1]


def test_the_newest_preview_is_shown_and_names_are_escaped(shown, clock, events, tmp_path):
    import dataclasses

    import numpy as np

    path = tmp_path / "000010.png"
    path.write_bytes(to_png(np.zeros((4, 4, 1), np.uint8)))
    with notebook.NotebookConsole(clock) as console:
        console(dataclasses.replace(events.started, dataset="<script>"))
        console(dataclasses.replace(events.preview, path=path))
    assert "data:image/png;base64," in shown[-1]
    assert "<script>" not in shown[-1]
