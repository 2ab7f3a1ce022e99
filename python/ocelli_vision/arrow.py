"""Embeddings as Arrow tables, Parquet files and Ocelli's own index files."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from . import Embeddings, Model
from .error import OcelliError

#: The failures of a job: a table of its own, so that no vector is missing in the other.
UNREADABLE = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("error", pa.string(), nullable=False)])

#: Metadata of a table: the model's hash, the format of its weights, and Ocelli's version.
HASH, FORMAT, VERSION = "ocelli.model", "ocelli.format", "ocelli.version"


def schema(model: Model) -> pa.Schema:
    """id: string, embedding: fixed_size_list<float>[dim], no nulls, and what model made them."""
    number = pa.field("element", pa.float32(), nullable=False)
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("embedding", pa.list_(number, model.dim), nullable=False),
    ]
    return pa.schema(fields, {HASH: model.hash, FORMAT: model.format, VERSION: version("ocelli-vision")})


def arrow_table(model: Model, ids: Sequence[str], found: Embeddings) -> tuple[pa.Table, pa.Table]:
    """The rows that are right, as `schema` has them, and those that are not, as `UNREADABLE` has them."""
    if len(ids) != len(found):
        raise OcelliError("bad-input", f"ids: expected {len(found)}, one a picture, found {len(ids)}: give each its own")
    ok, columns = found.ok, schema(model)
    vectors = found.vectors if ok.all() else found.vectors[ok]
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=columns.field("embedding").type)
    good = [id for id, right in zip(ids, ok, strict=True) if right]
    bad = [(id, error) for id, error in zip(ids, found.errors, strict=True) if error is not None]
    table = pa.table([pa.array(good, pa.string()), embedding], schema=columns)
    return table, pa.table([[id for id, _ in bad], [error for _, error in bad]], schema=UNREADABLE)


def rows(model: Model, ids: Sequence[str], pictures: Iterable) -> pa.Table:
    """What engines write: id, embedding, and error, which is empty where all is well and the vector zeros where it is not.

    A row for each picture, so that an engine that keeps account of ids has each of them once. `hand_over` parts them.
    """
    found = model.embed_images(pictures)
    columns = schema(model)
    embedding = pa.FixedSizeListArray.from_arrays(
        pa.array(found.vectors.reshape(-1)), type=columns.field("embedding").type
    )
    errors = pa.array([error or "" for error in found.errors], pa.string())
    fields = columns.append(pa.field("error", pa.string(), nullable=False))
    return pa.table([pa.array(ids, pa.string()), embedding, errors], schema=fields)


def hand_over(model: Model, source: str | Path, target: str | Path) -> tuple[int, int]:
    """Parts what an engine wrote into `embeddings.parquet`, for vector stores, and `unreadable.parquet`; counts the rows of both.

    Each file appears whole, by a rename; after an error those of before are there still.
    """
    target, data = Path(target), ds.dataset(source)
    made = (data.schema.metadata or {}).get(HASH.encode(), model.hash.encode()).decode()
    if made != model.hash:
        raise OcelliError("wrong-model", f"embedding: expected vectors of {model.hash}, found {made}: name the model that made them")
    target.mkdir(parents=True, exist_ok=True)
    columns, counts, seen = schema(model), [0, 0], set()
    with (
        _whole(target / "embeddings.parquet", target / "unreadable.parquet") as parts,
        pq.ParquetWriter(parts[0], columns, compression="zstd") as good,
        pq.ParquetWriter(parts[1], UNREADABLE, compression="zstd") as bad,
    ):
        for batch in data.to_batches(columns=["id", "embedding", "error"]):
            _once(batch["id"].to_pylist(), seen)
            right = pc.equal(batch["error"], "")
            fine, wrong = batch.filter(right), batch.filter(pc.invert(right))
            vectors = _fixed(fine["embedding"], columns)
            good.write_table(pa.table([fine["id"].cast(pa.string()), vectors], schema=columns))
            bad.write_table(pa.table([wrong[name].cast(pa.string()) for name in UNREADABLE.names], schema=UNREADABLE))
            counts = [counts[0] + fine.num_rows, counts[1] + wrong.num_rows]
    return counts[0], counts[1]


def matrix(table: pa.Table) -> np.ndarray:
    """The vectors of a table: float32, (rows, dim)."""
    column = table["embedding"].combine_chunks()
    return column.flatten().to_numpy().reshape(-1, column.type.list_size)


def write_index(source: str | Path, target: str | Path) -> int:
    """Writes the index file that `ImageIndex` of the npm package opens, from `embeddings.parquet`; counts its rows."""
    table = pq.read_table(source)
    vectors = np.ascontiguousarray(matrix(table), "<f4")
    items = json.dumps([{"id": id} for id in table["id"].to_pylist()]).encode()
    header = {
        "__metadata__": {"modelHash": table.schema.metadata[HASH.encode()].decode()},
        "vectors": {"dtype": "F32", "shape": vectors.shape, "data_offsets": [0, vectors.nbytes]},
        "items": {"dtype": "U8", "shape": [len(items)], "data_offsets": [vectors.nbytes, vectors.nbytes + len(items)]},
    }
    head = json.dumps(header).encode()
    # Numbers begin at a multiple of eight bytes.
    head += b" " * (-len(head) % 8)
    with _whole(Path(target)) as (part,):
        part.write_bytes(len(head).to_bytes(8, "little") + head + vectors.tobytes() + items)
    return table.num_rows


@contextmanager
def _whole(*paths: Path) -> Iterator[list[Path]]:
    """Other names to write these files by: they get their own once all is well, and are gone otherwise."""
    parts = [path.with_name(f"{path.name}.part") for path in paths]
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            part.replace(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _fixed(column: pa.Array, columns: pa.Schema) -> pa.Array:
    """A column of lists, of whatever kind the engine wrote, as lists of the model's length."""
    kind = columns.field("embedding").type
    numbers = column.flatten().cast(pa.float32())
    if len(numbers) != len(column) * kind.list_size:
        raise OcelliError(
            "wrong-model",
            f"embedding: expected {kind.list_size} numbers a row, found {len(numbers) / len(column):g}: "
            "name the model that made them",
        )
    return pa.FixedSizeListArray.from_arrays(numbers, type=kind)


def _once(ids: list[str], seen: set[str]) -> None:
    for id in ids:
        if id in seen:
            raise OcelliError("bad-input", f"id: expected each once, found {id!r} again: write to an empty folder")
        seen.add(id)
