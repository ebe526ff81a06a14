"""Fits the last layer on frozen features before anything else is trained.

A new classifier with random weights sends large, wrong gradients through good features and spoils them. With
few videos it is better to fit it first, by logistic regression on what the frozen network says of them
[Kumar et al., 2022, arXiv 2202.10054, LP-FT], and often that is all there is to gain.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vedette_edge.errors import ConfigError

__all__ = ["Probe", "fit_probe", "last_linear", "probe"]

_STRENGTHS = np.logspace(-4, 0, 9)  # scikit-learn's C, the inverse of the L2 penalty
_INNER_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear classifier: logits = weight @ features + bias.

    Attributes:
        weight: (K, C).
        bias: (K,).
        strength: the C that was chosen.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float


def probe(
    network: nn.Module,
    batches: DataLoader[tuple[Tensor, Tensor, Tensor]],
    groups: Sequence[str],
    *,
    balance: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Probe:
    """Fit the network's last layer in place; nothing else changes.

    Args:
        network: ends in a linear layer; on any device.
        batches: of training clips, augmented: (N, C, T, H, W), labels (N,), numbers of the items (N,).
        groups: the group of each item.
        balance: weigh the classes by the inverse of their frequency.
        on_progress: called with (done, total) batches.

    Raises:
        ConfigError: when the network does not end in a linear layer.
    """
    layer = last_linear(network)
    features, labels, items = _features(network, layer, batches, on_progress)
    of_each = [groups[item] for item in items]
    found = fit_probe(features, labels, of_each, layer.out_features, balance=balance)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(found.weight))
        layer.bias.copy_(torch.from_numpy(found.bias))
    return found


def fit_probe(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: Sequence[str],
    classes: int,
    *,
    balance: bool = False,
) -> Probe:
    """Fit a logistic regression whose penalty is chosen by cross-validation over groups.

    Args:
        features: (N, C).
        labels: (N,), 0..classes-1; a class without samples gets a logit far below the others.
        groups: the group of each sample; no group is divided when the penalty is chosen.
        classes: K.
        balance: weigh the classes by the inverse of their frequency.
    """
    scaler = StandardScaler().fit(features)
    folds = min(_INNER_FOLDS, len(set(groups)))
    model = LogisticRegressionCV(
        Cs=_STRENGTHS,
        cv=list(GroupKFold(folds).split(features, labels, np.asarray(groups))) if folds > 1 else None,
        scoring="neg_log_loss",
        class_weight="balanced" if balance else None,
        max_iter=500,
    )
    with warnings.catch_warnings():
        # A fold may lack a class, and a weak penalty may not converge: both only make that C lose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(scaler.transform(features), labels)
    coefficients = model.coef_ / scaler.scale_
    intercepts = model.intercept_ - coefficients @ scaler.mean_
    if len(model.classes_) == 2:  # scikit-learn gives one row: the second class against the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((classes, features.shape[1]), dtype=np.float32)
    bias = np.full(classes, -10.0, dtype=np.float32)
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return Probe(weight, bias, float(np.ravel(model.C_)[0]))


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the layer that gives the logits.

    Raises:
        ConfigError: when the network has no linear layer.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ConfigError("init.probe: this network has no linear layer to fit; leave it out")
    return layers[-1]


def _features(
    network: nn.Module,
    layer: nn.Linear,
    batches: DataLoader[tuple[Tensor, Tensor, Tensor]],
    on_progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return what the layer is given for each clip, (N, C), with the labels and items, (N,)."""
    rows: list[Tensor] = []
    labels: list[Tensor] = []
    items: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: rows.append(given[0].float().cpu()))
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for done, (clips, truth, numbers) in enumerate(batches, start=1):
                network(clips.to(layer.weight.device))
                labels.append(truth)
                items.append(numbers)
                if on_progress:
                    on_progress(done, len(batches))
    finally:
        hook.remove()
        network.train(training)
    return torch.cat(rows).numpy(), torch.cat(labels).numpy(), torch.cat(items).numpy()
