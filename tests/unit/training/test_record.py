from PIL import Image

from gancli.config.resolve import resolve
from gancli.runs import RunDirectory
from gancli.training.record import run_started
from gancli.training.setup import advice, set_up


def test_a_translation_says_how_many_images_both_sets_have(grey_and_colour, tmp_path):
    (tmp_path / "one").mkdir()
    Image.new("L", (16, 16)).save(tmp_path / "one" / "a.png")
    small = ["arch.channels=4", "arch.blocks=1", "runtime.device=cpu", "train.images=8"]
    for folder, number, few in ((tmp_path / "one", "1 to 24", True), (grey_and_colour / "grey", "24", False)):
        sets = [f"data.dataset={folder}", f"data.to={grey_and_colour / 'colour'}"]
        training = set_up(resolve(assignments=[*sets, *small], environment={}).config)
        assert run_started(training, RunDirectory(tmp_path)).dataset.startswith(f"{number} images 3x16x16, ")
        assert any(note.startswith("Only 1 image to translate") for note in advice(training)) == few
