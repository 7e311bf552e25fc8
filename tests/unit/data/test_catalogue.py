import pytest

from gancli.data.readers.names import SUFFIXES, is_picture


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_letter_case_of_a_suffix_is_a_picture(suffix):
    assert is_picture(f"cat{suffix.upper()}")
    assert is_picture(f"a.b/c/cat{suffix.title()}")


@pytest.mark.parametrize(
    "name", ["cat.txt", "cat", "png", ".png", "._cat.png", "__MACOSX/cat.png", "a/.git/cat.png", "@eaDir/cat.png", "cat.png~"]
)
def test_litter_and_other_files_are_no_pictures(name):
    assert not is_picture(name)
