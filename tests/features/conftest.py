"""One thread for torch: tests run beside each other."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests of small networks lose more to a second thread than they gain."""
    torch.set_num_threads(1)
