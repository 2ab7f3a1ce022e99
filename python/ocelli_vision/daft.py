"""Daft: `frame.with_column("embedding", Embed(path)(daft.col("bytes")))`."""

import daft

from . import Model


@daft.cls
class Embed:
    """Embeds pictures: a column of bytes becomes a struct of `vector`, a list of float32, and `error`, empty where all is well.

    options: what `Model` takes.
    """

    def __init__(self, path: str, **options) -> None:
        self.model = Model(path, **{"towers": "vision", **options})

    @daft.method.batch(
        return_dtype=daft.DataType.struct(
            {"vector": daft.DataType.list(daft.DataType.float32()), "error": daft.DataType.string()}
        )
    )
    def __call__(self, pictures: daft.Series) -> list[dict]:
        found = self.model.embed_images(pictures.to_pylist())
        return [
            {"vector": vector, "error": error or ""}
            for vector, error in zip(found.vectors.tolist(), found.errors, strict=True)
        ]
