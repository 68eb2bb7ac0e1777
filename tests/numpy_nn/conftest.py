import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    """Several test processes of four threads each wait for one another."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
