import re
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from gancli.cli.console import STOPPING
from gancli.cli.live import ROW_SECONDS, WIDTH, LiveConsole, fitting


class Screen(StringIO):
    encoding = "utf-8"


@pytest.fixture
def rich():
    def rich(width=80, height=24, stream=None, **options):
        return Console(file=stream or Screen(), force_terminal=True, width=width, height=height, no_color=True, **options)

    return rich


def shown(renderable, width=80):
    """What a person would read."""
    console = Console(file=StringIO(), width=width, height=24)
    console.print(renderable)
    return console.file.getvalue()


def printed(console):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def fed(console, clock, *events):
    live = LiveConsole(console, clock)
    for event in events:
        live(event)
        clock.seconds += 1
    return live


def test_the_first_sign_of_life(rich):
    console = rich()
    with LiveConsole(console):
        assert "loading torch" in printed(console)


def test_work_on_the_pictures_is_shown_before_the_table(rich, clock, events):
    assert "decoding pictures: 1,200 of 5,000" in shown(fed(rich(), clock, events.preparing))


def test_the_table(rich, clock, events):
    live = fed(rich(), clock, events.started, events.progress(), events.epoch(), events.preview, events.progress(15, 2))
    clock.seconds += 1
    assert shown(live).splitlines() == [
        "epoch    step  D loss  G loss  D(x)  D(G(z))      FD  diversity   img/s     time",
        "  1/3      10   1.250   0.500  0.61     0.42   17.42       0.71   5,100    00:12",
        "  2/3      15   1.250   0.500  0.61     0.42       -          -   5,123    00:16",
        "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━───────────────────────────────  50%  00:39 left",
        "preview runs/a-run/samples/000010.png",
    ]


def test_what_is_said_at_the_start_stays(rich, clock, events):
    console = rich()
    fed(console, clock, events.started)
    assert printed(console).splitlines()[:5] == [
        "run   runs/a-run",
        "data  60 images 1x8x8, tiny",
        "arch  dense: generator 1,486,352, discriminator 20 parameters; cpu, fp32",
        "note  Note.",
        "",
    ]


def test_finished_epochs_are_printed_once(rich, clock, events):
    console = rich()
    fed(console, clock, events.started, events.epoch(1), events.epoch(2))
    assert printed(console).count("1/3") == 1


def test_epochs_of_no_length_do_not_flood_the_screen(rich, clock, events):
    console = rich()
    live = LiveConsole(console, clock)
    live(events.started)
    for number in range(1, 100):
        live(events.epoch(number))
        clock.seconds += ROW_SECONDS / 10
    live.__exit__(None, None, None)
    rows = re.findall(r"^ +(\d+)/3 ", printed(console), flags=re.MULTILINE)
    assert 5 < len(rows) < 20
    assert rows[-1] == "99"


def test_the_heading_is_repeated_when_it_has_left_the_screen(rich, clock, events):
    console = rich(height=20)
    fed(console, clock, events.started, *(events.epoch(number) for number in range(1, 31)))
    assert printed(console).count("D loss") == 3


def test_alarms_are_below_the_table_and_stay(rich, clock, events):
    console = rich()
    live = fed(console, clock, events.started, *[events.alarm] * 5)
    assert shown(live).count("! All pictures look alike.") == 3
    before = printed(console).count("! All")
    live.__exit__(None, None, None)
    assert printed(console).count("! All") - before == 5


def test_the_time_left_counts_down(rich, clock, events):
    live = fed(rich(), clock, events.started, events.progress(eta_seconds=100.0))
    assert "01:39 left" in shown(live)
    clock.seconds += 60
    assert "00:39 left" in shown(live)
    clock.seconds += 600
    assert "00:00 left" in shown(live)


def test_F31_stopping_is_shown_at_the_next_refresh(rich, clock, capfd, events):
    live = fed(rich(), clock, events.started, events.progress())
    live.stopping()
    assert STOPPING in shown(live)
    assert capfd.readouterr().err == ""


def test_abandoning_begins_a_new_line(rich, capfd):
    LiveConsole(rich()).abandon()
    assert capfd.readouterr().err == "\n"


def test_the_cursor_stays_visible_whatever_happens(rich):
    console = rich()
    with LiveConsole(console):
        written = console.file.getvalue()
        assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_leaving_erases_what_changes(rich, events):
    console = rich()
    with LiveConsole(console) as live:
        for event in (events.started, events.progress(), events.interval, events.saved, events.ended):
            live(event)
    assert console.file.getvalue().endswith("\x1b[2K")


def test_something_moves_until_the_first_numbers(rich, clock, events):
    live = fed(rich(), clock, events.started)
    assert "taking the first steps" in shown(live)
    live(events.progress())
    assert "first steps" not in shown(live)


@pytest.mark.parametrize("width", [1, 10, 20, 40, 66, 69, 200])
def test_F52_any_width(rich, clock, width, events):
    console = rich(width=width)
    with LiveConsole(console, clock) as live:
        for event in (events.started, events.progress(), events.epoch(), events.preview, events.alarm, events.progress()):
            live(event)
            clock.seconds += 1
    text = shown(live, width)
    assert max(map(len, text.splitlines())) <= width


def test_narrow_terminals_keep_the_losses():
    assert [column.title for column in fitting(25)] == ["epoch", "D loss", "G loss"]
    assert [column.title for column in fitting(49)] == ["epoch", "D loss", "G loss", "FD", "diversity", "time"]
    assert len(fitting(WIDTH)) == 10
    assert WIDTH == 80


def test_columns_are_those_of_the_training():
    titles = [column.title for column in fitting(120, ["d_loss", "g_loss", "cycle", "path_length"])]
    assert titles[:6] == ["epoch", "step", "D loss", "G loss", "cycle", "path length"]
    assert "D(x)" not in titles
    assert [column.title for column in fitting(60, ["cycle"])][:3] == ["epoch", "step", "cycle"]


def test_scores_that_are_no_probabilities_are_not_shown(rich, clock, events):
    live = fed(rich(), clock, replace(events.started, probabilities=False), events.epoch())
    assert "D(x)" not in shown(live)
    assert "0.61" not in shown(live)


def test_a_resized_terminal_gets_a_new_heading_before_the_next_row(rich, clock, events):
    console = rich(width=80)
    live = fed(console, clock, events.started, events.epoch(1))
    console.size = (49, 24)
    live(events.progress(15, 2))
    assert live._changing().renderables[0].plain.split() == ["epoch", "D", "loss", "G", "loss", "FD", "diversity", "time"]
    live(events.epoch(2))
    heading, row = printed(console).splitlines()[-2:]
    assert heading.split() == ["epoch", "D", "loss", "G", "loss", "FD", "diversity", "time"]
    assert row.split() == ["2/3", "1.250", "0.500", "17.42", "0.71", "00:12"]
    live(events.epoch(3))
    assert printed(console).count("D loss") == 2


def test_F52_without_unicode(rich, clock, events):
    stream = Screen()
    stream.encoding = "ascii"
    live = fed(rich(stream=stream), clock, events.started, events.progress(15))
    shown(live).encode("ascii")
    assert "#####" in shown(live)


def test_F22_names_are_no_markup(rich, clock, events):
    console = rich()
    started = replace(events.started, dataset="[bold]x[/bold] \x1b[2J")
    live = fed(console, clock, started, events.progress(), replace(events.preview, path=Path("[red]a")))
    assert "[bold]x[/bold] \\x1b[2J" in printed(console)
    assert "[red]a" in shown(live)


def test_F53_a_terminal_that_goes_away_does_not_end_the_training(monkeypatch, events):
    from gancli.cli.console import console_for

    class Gone(Screen):
        def isatty(self):
            return True

        def write(self, _text):
            raise OSError(5, "Input/output error")

    monkeypatch.setenv("TERM", "xterm")
    with console_for(Gone()) as live:
        live(events.started)
        live(events.epoch())


def test_it_can_be_drawn(rich, clock, events):
    live = fed(rich(), clock, events.started, events.epoch(), events.progress(15, 2))
    canvas = Console(record=True, file=StringIO(), width=80)
    canvas.print(live)
    assert "img/s" in canvas.export_svg(title="gancli train")


def test_refreshing_is_cheap(rich, clock, events):
    console = rich()
    live = fed(console, clock, events.started, events.epoch(), events.preview, events.progress(15, 2))
    live._live.start()
    begin = time.process_time()
    for _ in range(100):
        live._live.refresh()
    seconds = (time.process_time() - begin) / 100
    live._live.stop()
    assert seconds * 4 < 0.01  # less than one hundredth of a core
