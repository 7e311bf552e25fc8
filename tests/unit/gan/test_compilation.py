"""What becomes of the networks where compiling fails."""

import torch

from gancli.gan.compilation import compile_networks


def test_a_compiler_that_cannot_even_be_loaded_is_a_reason_and_no_error(make_game, monkeypatch):
    def absent(*_, **__):
        raise ImportError("no module named triton")

    monkeypatch.setattr(torch, "compile", absent)
    game = make_game()
    assert compile_networks(game.state, lambda: None) == "ImportError: no module named triton"
    assert all(player.compiled is None for player in game.state.trained.values())


def test_a_failure_in_the_rehearsal_leaves_the_state_alone(make_game, weights_of, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    game = make_game()
    before = {name: weights_of(player.network) for name, player in game.state.trained.items()}

    def spoil():
        game.state.step = 7
        for player in game.state.trained.values():
            for weight in player.network.parameters():
                weight.data.zero_()
        raise ValueError

    assert compile_networks(game.state, spoil) == "ValueError"
    assert game.state.step == 0
    assert all(player.compiled is None for player in game.state.trained.values())
    for name, player in game.state.trained.items():
        assert all(torch.equal(value, before[name][key]) for key, value in player.network.state_dict().items())
