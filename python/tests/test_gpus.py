"""From an engine's number of a GPU to its PCI bus id, in what nvidia-smi printed on a machine with four."""

import pytest

from ocelli_vision import OcelliError
from ocelli_vision.gpus import assigned, bus

LISTED = """\
0, GPU-0b1c7a53-7a52-2f64-8b5d-1c8f4f1e2a10, 00000000:07:00.0
1, GPU-5f2c1d9e-3c41-9a77-6e0b-90a4d3c2b1f8, 00000000:0F:00.0
2, GPU-5f2c77aa-10f3-4c1b-b2b9-3d2f1e0c9b8a, 00000000:47:00.0
3, GPU-e1d2c3b4-a596-8778-6960-5a4b3c2d1e0f, 00000001:4E:00.0
"""


def test_numbers_and_uuids_are_found():
    assert bus(LISTED, "0") == "pci:00000000:07:00.0"
    assert bus(LISTED, "3") == "pci:00000001:4E:00.0"
    assert bus(LISTED, "GPU-5f2c77aa-10f3-4c1b-b2b9-3d2f1e0c9b8a") == "pci:00000000:47:00.0"
    assert bus(LISTED, "GPU-e1d2c3b4") == "pci:00000001:4E:00.0"


@pytest.mark.parametrize("id", ["4", "-1", "", "GPU", "gpu-0b1c7a53", "07:00.0"])
def test_others_are_refused(id):
    with pytest.raises(OcelliError, match="found no such GPU") as raised:
        bus(LISTED, id)
    assert raised.value.code == "no-webgpu"


def test_without_a_gpu_the_model_chooses():
    assert assigned([]) == "auto"


def test_without_nvidia_smi_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OcelliError, match="name a device"):
        assigned([0])
