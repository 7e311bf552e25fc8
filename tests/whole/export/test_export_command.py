"""`gancli export`, and what becomes of its files."""

import pytest

pytestmark = pytest.mark.usefixtures("at_trained")

AGREES = "loaded again and compared with the generator: "


@pytest.mark.usefixtures("at_trained")
def test_a_file_that_gancli_made_is_replaced(cli, tmp_path):
    for name in ("a.png", "a.npz"):
        assert [cli("sample", "-n", "1", "-o", tmp_path / name).code for _ in range(2)] == [0, 0]
    for name in ("a.gif", "a.webp", "a.apng", "strip.png", "frames/"):
        line = ("interpolate", "--frames", "4", "-o", f"{tmp_path}/{name}")
        assert [cli(*line).code for _ in range(2)] == [0, 0]
    for name in ("g.safetensors", "page.html"):
        assert [cli("export", "-o", tmp_path / name).code for _ in range(2)] == [0, 0]
    assert [cli("export", "-o", f"{tmp_path}/folder/").code for _ in range(2)] == [0, 0]
