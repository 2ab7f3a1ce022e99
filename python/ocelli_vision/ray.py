"""Ray Data: `dataset.map_batches(Embed, fn_constructor_args=[path], batch_format="pyarrow", …)`."""

import pyarrow as pa
import ray

from . import Model, arrow
from .gpus import assigned


class Embed:
    """Embeds the pictures of a batch: columns `id` and `picture` become `id`, `embedding` and `error`.

    options: what `Model` takes. Without a device, an actor with a GPU of Ray's takes that one.
    """

    def __init__(self, path: str, *, id: str = "id", picture: str = "bytes", **options) -> None:
        self.id, self.picture = id, picture
        options.setdefault("device", assigned(ray.get_gpu_ids()))
        self.model = Model(path, **{"towers": "vision", **options})

    def __call__(self, table: pa.Table) -> pa.Table:
        return arrow.rows(self.model, table[self.id].to_pylist(), table[self.picture].to_pylist())
