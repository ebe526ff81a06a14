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
from torch.utils.data import DataLoader, Dataset

from vedette_edge.errors import ConfigError

__all__ = ["Probe", "fit_probe", "last_linear", "probe"]

_BATCH = 4
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
    clips: Dataset[tuple[Tensor, int]],
    groups: Sequence[str],
    *,
    draws: int,
    balance: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Probe:
    """Fit the network's last layer in place; nothing else changes.

    Args:
        network: ends in a linear layer; on any device.
        clips: the training clips, augmented, ((C, T, H, W), label).
        groups: the group of each clip.
        draws: how often each clip is drawn.
        balance: weigh the classes by the inverse of their frequency.
        on_progress: called with (done, total) clips.

    Raises:
        ConfigError: when the network does not end in a linear layer.
    """
    features, labels = _features(network, clips, draws, on_progress)
    classes = last_linear(network).out_features
    found = fit_probe(features, labels, list(groups) * draws, classes, balance=balance)
    layer = last_linear(network)
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
    clips: Dataset[tuple[Tensor, int]],
    draws: int,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return what the last layer is given for each clip, `draws` times over: (N, C), and the labels (N,)."""
    rows: list[Tensor] = []
    labels: list[Tensor] = []
    device = next(network.parameters()).device
    hook = last_linear(network).register_forward_pre_hook(
        lambda _, given: rows.append(given[0].float().cpu())
    )
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for _ in range(draws):
                for batch, truth in DataLoader(clips, _BATCH):
                    network(batch.to(device))
                    labels.append(truth)
                    if on_progress:
                        on_progress(sum(map(len, labels)), draws * len(clips))  # type: ignore[arg-type]
    finally:
        hook.remove()
        network.train(training)
    return torch.cat(rows).numpy(), torch.cat(labels).numpy()
