"""Spark: `frame.mapInArrow(embed(path), SCHEMA)`, in batch and in streams."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import pyarrow as pa

from . import Model, arrow
from .gpus import assigned

#: Spark has no lists of fixed length and no fields that are never null; `arrow.hand_over` brings them back.
SCHEMA = "id string, embedding array<float>, error string"


@lru_cache(maxsize=1)
def _opened(path: str, **options) -> Model:
    """The model of a worker, which Spark gives one task after the other."""
    return Model(path, **options)


def embed(path: str, *, id: str = "id", picture: str = "bytes", **options) -> Callable:
    """A function for `mapInArrow`: columns `id` and `picture` become those of `SCHEMA`. options: what `Model` takes."""

    def batches(tables: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        gpus = TaskContext.get().resources().get("gpu")
        device = assigned(gpus.addresses if gpus else [])
        model = _opened(path, **{"towers": "vision", "device": device, **options})
        plain = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32())), ("error", pa.string())])
        for table in tables:
            rows = arrow.rows(model, table[id].to_pylist(), table[picture].to_pylist())
            yield from rows.cast(plain).to_batches()

    return batches
