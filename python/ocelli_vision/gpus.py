"""Which GPU an engine means: engines count as CUDA does, Vulkan does not, and a PCI bus id is the same to both."""

import subprocess
from collections.abc import Sequence

from .error import OcelliError

LISTED = ["nvidia-smi", "--query-gpu=index,uuid,pci.bus_id", "--format=csv,noheader"]


def assigned(ids: Sequence[int | str]) -> str:
    """The device for the first GPU that an engine assigned, by its number or UUID; "auto" if it assigned none."""
    if not ids:
        return "auto"
    try:
        listed = subprocess.run(LISTED, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise OcelliError(
            "no-webgpu", f"GPU {ids[0]}: expected nvidia-smi to say where it is, found {error}: name a device, such as gpu:0"
        ) from error
    return bus(listed, str(ids[0]))


def bus(listed: str, id: str) -> str:
    """The device of a number or a UUID in what `LISTED` prints."""
    gpus = [[part.strip() for part in line.split(",")] for line in listed.splitlines() if line.strip()]
    for index, uuid, address in gpus:
        if id in (index, uuid) or (id.startswith("GPU-") and uuid.startswith(id)):
            return f"pci:{address}"
    known = ", ".join(index for index, _, _ in gpus) or "none"
    raise OcelliError("no-webgpu", f"GPU {id}: expected one of {known}, found no such GPU: name a device, such as gpu:0")
