import json
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import gancli
from gancli.errors import ExportError, UsageError
from gancli.images import to_bytes
from gancli.plugin import ImageSpec
from gancli.randomness.latents import latents


@pytest.fixture
def session(exported):
    """``(name, **options)`` -> a session of ONNX Runtime, without any of gancli's code in between."""
    return lambda name, **options: onnxruntime.InferenceSession(exported(name, ".onnx", **options))


def signature(values):
    return [(value.name, value.type, value.shape) for value in values]


def test_inputs_and_outputs_have_names_and_any_batch(session):
    plain, classes = session("small"), session("classes")
    assert signature(plain.get_inputs()) == [("z", "tensor(float)", ["batch", 8])]
    assert signature(plain.get_outputs()) == [("images", "tensor(float)", ["batch", 1, 8, 8])]
    assert signature(classes.get_inputs())[1:] == [("labels", "tensor(int64)", ["batch"])]


def test_it_says_what_it_is(session, models):
    said = session("mnist").get_modelmeta().custom_metadata_map
    facts = json.loads(said["gancli"])
    origin = models["mnist"].origin
    assert (facts["run"], facts["step"], facts["weights"], facts["digest"]) == ("mnist", 2, "ema", origin.digest)
    assert (facts["gancli"], facts["latent_dim"], facts["classes"]) == (gancli.__version__, 64, [str(i) for i in range(10)])
    assert "CC BY-SA" in facts["dataset"]["licence"]


def test_nothing_of_this_machine_is_in_it(exported):
    for name, suffix in (("dcgan", ".onnx"), ("mnist", ".onnx"), ("dcgan", ".pt2")):
        data = exported(name, suffix)
        assert b"networks.py" not in data
        assert str(gancli.__path__[0]).encode() not in data
        assert b"elapsed_seconds" not in data


def test_the_checker_has_nothing_to_say(exported):
    onnx.checker.check_model(exported("dcgan", ".onnx"), full_check=True)


@pytest.mark.parametrize("name", ["classes", "mnist"])
def test_as_bytes_it_has_the_signature_of_torch_fidelity(session, models, name):
    """GenerativeModelONNX passes latents and labels in this order, and takes uint8 of three channels from the first output."""
    model, given = models[name], session(name, uint8=True)
    size = (model.image.height, model.image.width)
    assert signature(given.get_outputs()) == [("images", "tensor(uint8)", ["batch", 3, *size])]
    z, labels = latents(range(50), model.latent_dim), np.arange(50) % model.image.classes
    (pixels,) = given.run(None, dict(zip([one.name for one in given.get_inputs()], (z, labels), strict=True)))
    expected = to_bytes(model.draw(torch.from_numpy(z), torch.from_numpy(labels))).transpose(0, 3, 1, 2)
    assert (pixels[:, :1] == pixels).all(), "grey is three times the same"
    difference = np.abs(pixels[:, :1].astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3, "only what lies between two levels may round to the other"


def test_colour_as_bytes_stays_colour(made_up, write):
    _, difference = write(made_up(image=ImageSpec(3, 4, 4)), ".onnx", uint8=True)
    assert difference <= 0.5 / 127.5 + 1e-6


def test_images_with_alpha_have_no_form_in_bytes(made_up, write):
    with pytest.raises(UsageError, match="these images have 4"):
        write(made_up(image=ImageSpec(4, 4, 4)), ".onnx", uint8=True)


def test_the_opset_is_the_one_that_was_asked_for(made_up, write):
    for asked, written in (({}, 18), ({"opset": 21}, 21)):
        model = onnx.load_model_from_string(write(made_up(), ".onnx", **asked)[0])
        assert [(one.domain, one.version) for one in model.opset_import] == [("", written)]


@pytest.mark.parametrize("opset", [-1, 0, 9, 17, 99])
def test_an_opset_that_cannot_be_written_is_refused(made_up, write, opset):
    with pytest.raises(UsageError, match=rf"-s opset={opset} cannot be written\. Choose 18 to"):
        write(made_up(), ".onnx", opset=opset)


@pytest.mark.parametrize(
    ("operation", "name"),
    [(torch.special.bessel_j0, "bessel_j0"), (lambda x: torch.linalg.eigvalsh(x[..., :4, :4])[..., None], "_linalg_eigh")],
)
def test_an_operation_that_onnx_lacks_is_named(made_up, write, operation, name):
    with pytest.raises(ExportError, match=rf"ONNX \(opset 18\) has no operation \S*{name}, which the generator uses") as raised:
        write(made_up(operation), ".onnx")
    assert raised.value.exit_code == 9
    assert "\n" not in str(raised.value)


def test_nothing_is_printed_and_nothing_stays_switched_off(made_up, write, capfd, caplog):
    import logging

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        write(made_up(), ".onnx")
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (capfd.readouterr(), warned, told) == (("", ""), [], [])
    assert logging.root.manager.disable == 0
