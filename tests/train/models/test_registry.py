import pytest
import torch

from vedette_train.models import MODELS, create_model


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_table_gives_logits_and_class_maps(name):
    network = create_model(name, num_classes=3, width_mult=0.25).eval()
    logits, heatmap = network.forward_with_heatmap(torch.zeros(1, 3, 2, 32, 32))
    assert logits.shape == (1, 3)
    assert heatmap.shape[:2] == (1, 3)
    assert network(torch.zeros(1, 3, 2, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("mobilenet", {}, "unknown model 'mobilenet', did you mean 'mobilenet_v2_3d'"),
        ("mobilenet_v2_3d", {"width": 1.0}, "mobilenet_v2_3d takes no 'width', did you mean 'width_mult'"),
        ("mobilenet_v2_3d", {"mode": "sparse"}, "unknown mode 'sparse'"),
    ],
)
def test_an_unknown_name_or_argument_is_named(name, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        create_model(name, num_classes=2, **arguments)
