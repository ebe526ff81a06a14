"""Weights published elsewhere: other names, the same function; what does not fit is refused by name."""

from collections import OrderedDict

import pytest
import torch
from model_helpers import seasoned
from torch import nn
from torch.nn.utils import prune

from vedette_edge.errors import DataError, UsageError
from vedette_train.models import create_model
from vedette_train.models.published import class_count, import_weights, read_checkpoint, reorder_classes


def factored(i, o):
    """A separable convolution written out in plain layers."""
    return [
        nn.Conv3d(i, o, (1, 3, 3), padding=(0, 1, 1), bias=False),
        nn.ReLU(),
        nn.Conv3d(o, o, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(o),
        nn.ReLU(),
    ]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.AdaptiveAvgPool3d(1), nn.Conv3d(32, 2, 1), nn.ReLU(), nn.Conv3d(2, 32, 1), nn.Sigmoid()
        )
        self.where = nn.Conv3d(2, 1, 7, padding=3)

    def forward(self, x):
        x = x * self.mlp(x)
        seen = torch.cat((torch.mean(x, 1, keepdim=True), torch.max(x, 1, keepdim=True)[0]), 1)
        return x * torch.sigmoid(self.where(seen))


class Published(nn.Module):
    """The published network in another hand: other names, plain layers, pooling by PyTorch."""

    def __init__(self, units=64):
        super().__init__()
        self.colour, self.motion = self.stream(3), self.stream(2)
        self.merge_a = nn.Sequential(*factored(32, 64), nn.AdaptiveAvgPool3d((1, 3, 3)))
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 64), nn.Sigmoid()
        )
        self.merge_b = nn.Sequential(*factored(64, 128), nn.AdaptiveMaxPool3d(1), nn.Dropout3d(0.3))
        self.fc = nn.Sequential(
            OrderedDict(
                flat=nn.Flatten(),
                one=nn.Linear(128, units),
                r1=nn.ReLU(),
                d=nn.Dropout(0.3),
                two=nn.Linear(units, 32),
                r2=nn.ReLU(),
                three=nn.Linear(32, 2),
            )
        )

    @staticmethod
    def stream(channels):
        pool = nn.MaxPool3d((1, 2, 2))
        return nn.Sequential(
            *(*factored(channels, 16), *factored(16, 16), pool, *factored(16, 32), *factored(32, 32), pool),
            *(Attention(), *factored(32, 32), *factored(32, 32), pool),
        )

    def forward(self, x):
        gated = self.colour(x[:, :3]) * torch.sigmoid(self.motion(x[:, 3:]))
        y = self.merge_a(nn.functional.max_pool3d(gated, (8, 1, 1)))
        return self.fc(self.merge_b(y * self.excite(y)[:, :, None, None, None]))


CLIPS = torch.randn(3, 5, 16, 40, 32, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return seasoned(Published(), CLIPS)


@pytest.fixture(scope="module")
def wanted(published):
    with torch.inference_mode():
        return published(CLIPS)


def imported(path, **arguments):
    network = create_model("ds3d_fgattnet", num_classes=2, **arguments).eval()
    return network, import_weights(network, read_checkpoint(path), str(path))


WRAPPINGS = {
    "a state dict": lambda state: state,
    "model_state_dict": lambda state: {"model_state_dict": state, "epoch": 21, "optimizer": {"lr": 0.1}},
    "state_dict": lambda state: {"state_dict": state},
    "model": lambda state: {"model": state, "val_acc": 0.8},
    "DataParallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": lambda state: {"model": {f"module._orig_mod.{key}": value for key, value in state.items()}},
    "without counters": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_weights_under_other_names_give_the_same_function(published, wanted, wrap, tmp_path):
    torch.save(wrap(published.state_dict()), tmp_path / "published.pth")
    network, mapped = imported(tmp_path / "published.pth")
    with torch.inference_mode():
        assert torch.allclose(network(CLIPS), wanted, atol=1e-5)
    assert wanted.std() > 0.01
    assert (mapped[0].theirs.name, mapped[0].ours.name) == ("colour.0", "rgb.0.spatial")
    assert (mapped[-1].theirs.name, mapped[-1].ours.name) == ("fc.three", "head.logits")
    assert len({pair.ours.name for pair in mapped}) == len(mapped) == 53


def test_what_pruning_left_behind_is_multiplied_in(published, tmp_path):
    masked = Published().eval()
    masked.load_state_dict(published.state_dict())
    for module in masked.modules():
        if isinstance(module, nn.Conv3d) and module.bias is None:
            prune.ln_structured(module, "weight", amount=0.25, n=2, dim=0)
    state = masked.state_dict()
    assert any(key.endswith("weight_orig") for key in state)
    torch.save(state, tmp_path / "pruned.pth")
    network, _ = imported(tmp_path / "pruned.pth")
    with torch.inference_mode():
        assert torch.allclose(network(CLIPS), masked(CLIPS), atol=1e-5)


def test_our_own_names_are_taken_in_any_order(published, wanted, tmp_path):
    torch.save(published.state_dict(), tmp_path / "published.pth")
    network, _ = imported(tmp_path / "published.pth")
    torch.save(dict(sorted(network.state_dict().items())), tmp_path / "sorted.pth")
    again, _ = imported(tmp_path / "sorted.pth")
    with torch.inference_mode():
        assert torch.allclose(again(CLIPS), wanted, atol=1e-5)


def test_foreign_names_that_were_sorted_are_refused(published, tmp_path):
    torch.save(dict(sorted(published.state_dict().items())), tmp_path / "sorted.pth")
    with pytest.raises(
        DataError, match=r"colour\.2 comes after colour\.19, so the layers are not in the network"
    ):
        imported(tmp_path / "sorted.pth")


def test_another_network_is_refused_with_the_first_difference(published, tmp_path):
    torch.save(Published(units=128).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(
        DataError, match=r"layer 51 is fc\.one \(linear: .*128, 128.*expects head\.hidden .*64, 128"
    ):
        imported(tmp_path / "wide.pth")
    state = published.state_dict()
    torch.save({key: state[key] for key in state if "fc.three" not in key}, tmp_path / "short.pth")
    with pytest.raises(DataError, match=r"layer 53 is missing, the network expects head\.logits"):
        imported(tmp_path / "short.pth")
    torch.save(state | {"extra.weight": torch.ones(2, 2)}, tmp_path / "long.pth")
    with pytest.raises(DataError, match=r"layer 54 is extra \(linear.*, the network expects no more"):
        imported(tmp_path / "long.pth")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read as tensors alone"),
        (b"text", "cannot be read as tensors alone"),
        ([1, 2], "expected a state dict, found list"),
        ({}, "no state dict, but nothing"),
        ({"epoch": 3, "net": {"w": torch.ones(1)}}, "no state dict, but epoch, net"),
        (
            {key: {"w": torch.ones(1)} for key in ("model", "state_dict")},
            r"several state dicts \(state_dict, model\)",
        ),
        ({"a.weight": torch.tensor([1.0, float("nan")])}, r"1 tensors hold NaN or infinity, first a\.weight"),
        ({"a.weight_orig": torch.ones(2)}, r"a\.weight_orig has no partner of its shape"),
        ({"a.weight_mask": torch.ones(2)}, r"a\.weight_mask has no partner of its shape"),
        ({"a.weight_orig": torch.ones(2), "a.weight_mask": torch.ones(3)}, "has no partner of its shape"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(content, sentence, tmp_path):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(DataError, match=sentence) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


class Trap:
    """What runs code when it is unpickled without care."""

    def __reduce__(self):
        return (print, ("caught",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"model": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(DataError, match="cannot be read as tensors alone"):
        read_checkpoint(tmp_path / "trap.pth")
    assert "caught" not in capsys.readouterr().out


def test_classes_are_put_into_the_order_of_folders(published, wanted, tmp_path):
    torch.save(published.state_dict(), tmp_path / "published.pth")
    network, _ = imported(tmp_path / "published.pth")
    assert reorder_classes(network, ["NonFight", "Fight"], CLIPS) == ["Fight", "NonFight"]
    with torch.inference_mode():
        assert torch.allclose(network(CLIPS), wanted.flip(1), atol=1e-5)
    for names in (["a"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(UsageError, match="expected 2 different names, one a logit"):
            reorder_classes(network, names, CLIPS)


def test_classes_of_a_network_with_two_heads_keep_their_order():
    network = seasoned(create_model("late_fusion", num_classes=2), torch.randn(4, 3, 4, 16, 16))
    with pytest.raises(UsageError, match="several last layers"):
        reorder_classes(network, ["b", "a"], torch.randn(1, 3, 4, 16, 16))


def test_the_last_linear_layer_tells_the_number_of_classes(published):
    assert class_count(published.state_dict()) == 2
    assert class_count({"conv.weight": torch.ones(1, 1, 1, 1)}) is None
