from functools import partial

import pytest
import torch

from gancli.config.schema import AugmentConfig
from gancli.gan.augmentation import CHANGES, MOST, TRANSFORMS, Augmentation, NoAugmentation, augmentation_for
from gancli.runtime.device import Runtime
from gancli.runtime.micro_batches import MicroBatches

EVERYTHING = (*CHANGES, *TRANSFORMS)


def augmentation(changes=EVERYTHING, strength=0.5, **settings):
    state = {}
    return Augmentation(AugmentConfig(changes=changes, strength=strength, **settings), state, torch.device("cpu")), state


def pictures(n=64, channels=3, height=12, width=16):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def whole(images):
    """The share that a batch is if it is not divided."""
    return next(iter(MicroBatches(len(images))))


def numbers(step=0):
    return partial(Runtime(torch.device("cpu")).uniform_at, 0, "a test", step)


def changed(images, *, changes=EVERYTHING, strength=0.5, step=0):
    return augmentation(changes, strength)[0].before(lambda x: x, numbers(step), whole(images))(images)


@pytest.mark.parametrize("kind", EVERYTHING)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_change_changes_about_as_many_pictures_as_it_should_and_no_shape(kind, channels):
    images = pictures(400, channels)
    after = changed(images, changes=(kind,), strength=0.5)
    touched = (after != images).flatten(1).any(1).float().mean()
    assert after.shape == images.shape
    if kind in {"hue", "saturation"} and channels == 1:
        assert touched == 0
        return
    assert 0.2 < touched < 0.65  # a flip is one only half of the time


@pytest.mark.parametrize("kind", EVERYTHING)
def test_strength_0_changes_nothing(kind):
    assert torch.equal(changed(pictures(), changes=(kind,), strength=0.0), pictures())


@pytest.mark.parametrize("kind", EVERYTHING)
def test_each_picture_is_changed_on_its_own(kind):
    images = pictures(8)
    among_others = images.clone()
    among_others[1:] = 0.3
    assert torch.equal(changed(images, changes=(kind,))[0], changed(among_others, changes=(kind,))[0])


@pytest.mark.parametrize("kind", EVERYTHING)
def test_gradients_reach_the_pictures_twice(kind):
    images = pictures(4).double().requires_grad_()

    def change(x):
        return augmentation((kind,), 0.9)[0].change(x, numbers(3)(), whole(x))

    assert torch.autograd.gradcheck(change, (images,), fast_mode=True)
    assert torch.autograd.gradgradcheck(change, (images,), fast_mode=True)


def test_the_changes_are_addressed_by_update_and_step(make_game, monkeypatch):
    images = pictures()
    assert torch.equal(changed(images, step=3), changed(images, step=3))
    assert not torch.equal(changed(images, step=3), changed(images, step=4))
    asked = []
    monkeypatch.setattr(Runtime, "uniform_at", lambda _, *address: asked.append(address) or torch.rand)
    game = make_game()
    game.trainer.augmentation, _ = augmentation()
    for _ in range(2):
        game.trainer.step(0.0)
    each = [(0, f"augmentation of the {name}'s turn") for name in ("discriminator", "generator")]
    assert asked == [(*update, step) for step in range(2) for update in each]


@pytest.mark.parametrize("kind", EVERYTHING)
@pytest.mark.parametrize("sets", [1, 2])
def test_a_share_is_changed_as_in_the_whole_batch(kind, sets):
    """Also where a batch is made of two sets, the real and the generated pictures."""
    images = torch.stack([pictures(12, 3) * (k + 1) / sets for k in range(sets)])
    augment = augmentation((kind,), 0.9)[0]

    def change(share, rows):
        return augment.before(lambda x: x, numbers(5), share)(images[:, rows].flatten(0, 1)).unflatten(0, (sets, -1))

    together = change(whole(images[0]), slice(None))
    for share in MicroBatches(12, 3):
        assert torch.equal(change(share, share.rows), together[:, share.rows])


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    changed(pictures())
    assert torch.equal(torch.rand(3), expected)


def test_a_translation_moves_by_at_most_an_eighth_and_repeats_the_border():
    ramp = torch.arange(16.0).expand(200, 1, 8, 16).contiguous()
    moved = changed(ramp, changes=("translation",), strength=0.99)
    shift = (moved - ramp)[:, 0, 0, 8]
    assert shift.abs().max() == 2
    assert (moved.diff(dim=3) >= 0).all()
    assert moved.min() >= 0
    assert moved.max() <= 15


def test_a_cutout_takes_at_most_a_quarter_of_the_picture():
    after = changed(torch.ones(300, 1, 16, 16), changes=("cutout",), strength=0.99)
    share = (after == 0).flatten(1).float().mean(1)
    assert share.max() == pytest.approx(0.25)
    assert share.median() > 0.1


def test_a_quarter_turn_of_a_square_is_exact_to_rounding():
    images = pictures(200, 2, 9, 9)
    after = changed(images, changes=("rotation90",), strength=0.99)
    near = torch.stack([(after - images.rot90(k, (2, 3))).flatten(1).abs().max(1).values for k in range(4)])
    assert near.min(0).values.max() < 1e-4
    assert near.argmin(0).bincount(minlength=4).min() > 25


def test_a_circle_stays_one_when_it_is_turned_also_in_an_oblong():
    y, x = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(40) - 19.5, indexing="ij")
    circle = (torch.hypot(x, y) / 12).expand(50, 1, -1, -1)
    after = changed(circle, changes=("rotation",), strength=0.99)
    assert (after - circle)[:, :, 4:20, 12:28].abs().max() < 0.03


def test_scales_keep_the_proportions_and_stretches_the_area():
    y, x = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")
    places = torch.stack([x, y]).expand(300, -1, -1, -1).contiguous()
    for kind, same in (("scale", lambda a, b: a - b), ("stretch", lambda a, b: a * b - 1)):
        after = changed(places, changes=(kind,), strength=0.99)
        horizontal, vertical = after[:, 0, 16, 17], after[:, 1, 17, 16]
        assert same(horizontal, vertical).abs().max() < 1e-3
        assert 0.15 < horizontal.log2().std() < 0.25


def test_several_transforms_move_the_pixels_once(monkeypatch):
    calls = []
    from gancli.gan import augmentation as module

    sample = module.grid_sample
    monkeypatch.setattr(module, "grid_sample", lambda *a, **k: calls.append(1) or sample(*a, **k))
    changed(pictures(), changes=tuple(TRANSFORMS))
    assert len(calls) == 1


def test_hue_and_saturation_leave_brightness_and_alpha():
    images = pictures(100, 4)
    for kind in ("hue", "saturation"):
        after = changed(images, changes=(kind,), strength=0.9)
        torch.testing.assert_close(after[:, :3].mean(1), images[:, :3].mean(1))
        assert torch.equal(after[:, 3], images[:, 3])
    turned = changed(images, changes=("hue",), strength=0.9)[:, :3]
    spread = lambda x: (x - x.mean(1, keepdim=True)).norm(dim=1)  # noqa: E731  (one line where it is used)
    torch.testing.assert_close(spread(turned), spread(images[:, :3]), atol=1e-5, rtol=1e-4)


def test_a_grey_picture_stays_grey_whatever_its_colours_do():
    grey = pictures(64, 1).expand(-1, 3, -1, -1)
    for kind in ("colour", "hue", "saturation"):
        after = changed(grey, changes=(kind,))
        torch.testing.assert_close(after[:, 0], after[:, 2])


def feed(augment, logit, steps, batch=100):
    for step in range(steps):
        augment.adapt(augment.observe(torch.full((batch,), float(logit))), batch, step)


def test_the_strength_rises_while_d_is_sure_and_falls_when_it_is_not():
    augment, state = augmentation(strength=None, adapt_images=10_000)
    assert state["strength"] == 0
    feed(augment, 1, 40)
    assert state["strength"] == pytest.approx(0.4)  # 40 steps of 100 images of the 10,000 that take it from 0 to 1
    feed(augment, -1, 20)
    assert state["strength"] == pytest.approx(0.2)


def test_the_strength_stays_where_the_changes_do_not_leak():
    augment, state = augmentation(strength=None, adapt_images=1000)
    feed(augment, 5, 100)
    assert state["strength"] == pytest.approx(MOST)
    feed(augment, -5, 200)
    assert state["strength"] == 0


def test_a_fixed_strength_stays():
    augment, state = augmentation(strength=0.3)
    feed(augment, 5, 50)
    assert state["strength"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("mode", "count", "kind"),
    [
        ("auto", 9_999, Augmentation),
        ("auto", 10_000, NoAugmentation),
        ("on", 60_000, Augmentation),
        ("off", 10, NoAugmentation),
    ],
)
def test_small_data_sets_are_augmented_by_themselves(mode, count, kind):
    chosen = augmentation_for(AugmentConfig(mode=mode), count, state={}, device=torch.device("cpu"))
    assert type(chosen) is kind


def test_both_players_see_augmented_pictures(make_game, monkeypatch):
    seen = []
    game = make_game()
    game.trainer.augmentation, _ = augmentation(("cutout",), 0.9)
    forward = type(game.discriminator).forward
    monkeypatch.setattr(type(game.discriminator), "forward", lambda self, x, *y: seen.append(x) or forward(self, x, *y))
    game.trainer.step(0.0)
    assert len(seen) == 2
    assert all((images == 0).flatten(1).any(1).any() for images in seen)


def test_what_is_reported_is_the_strength_of_that_step(make_game):
    game = make_game()
    game.trainer.augmentation, state = augmentation(strength=None, adapt_images=8, target=0)
    reports = [game.trainer.step(0.0)["augmentation"] for _ in range(8)]
    assert reports[0] == 0
    assert len(set(map(float, reports))) > 1
    assert reports[-1] == state["strength"]
