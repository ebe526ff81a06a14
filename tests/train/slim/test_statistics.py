import pytest
import torch
from torch import nn

from vedette_train.slim.statistics import measure_again


def test_batch_norm_gets_the_mean_of_all_batches_and_everything_else_stays():
    network = nn.Sequential(nn.BatchNorm3d(1, momentum=0.3), nn.Dropout(0.5), nn.Conv3d(1, 1, 1))
    network[0].running_mean.fill_(9.0)
    network.train()
    network[2].eval()
    weights = [parameter.clone() for parameter in network.parameters()]
    clips = [torch.full((2, 1, 1, 1, 2), value) + torch.tensor([0.0, 2.0]) for value in (0.0, 4.0)]
    measure_again(network, [(one, torch.zeros(2)) for one in clips])
    assert float(network[0].running_mean) == pytest.approx(3.0)  # of 1 and 5
    assert float(network[0].running_var) == pytest.approx(4 / 3)  # 1, of four numbers less one
    assert network[0].momentum == 0.3
    assert [module.training for module in network] == [True, True, False]
    assert all(map(torch.equal, network.parameters(), weights))
