"""spark_job.py PICTURES OUT CHECKPOINT LOG MODEL KIND: the guide's recipe, slowed down and with a log of what was computed.

KIND is batch, or stream: then OUT/../whole has what Spark reads of OUT, which is each row once.
"""

import os
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

from ocelli_vision.spark import SCHEMA, embed

#: Of a picture, so that there is time to kill something.
SECONDS = 0.03


def logged(path: str, log: str):
    batches = embed(path, device="cpu", threads=1)

    def each(tables):
        for table in batches(tables):
            time.sleep(SECONDS * table.num_rows)
            with open(log, "a") as file:
                file.write("".join(f"{os.getpid()} {id}\n" for id in table["id"].to_pylist()))
            yield table

    return each


def main(pictures: str, out: str, checkpoint: str, log: str, model: str, kind: str) -> None:
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.python.worker.reuse": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "5",
        # Small files are a task each: they are smaller than a task's share, and to open one counts as much.
        "spark.sql.files.maxPartitionBytes": "100000",
        "spark.sql.files.openCostInBytes": "100000",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    if kind == "batch":
        found = session.read.parquet(pictures).mapInArrow(logged(model, log), SCHEMA)
        found.write.mode("overwrite").parquet(out)
    else:
        files = session.readStream.schema("id string, bytes binary").option("maxFilesPerTrigger", 2).parquet(pictures)
        written = files.mapInArrow(logged(model, log), SCHEMA).writeStream.format("parquet")
        written = written.option("checkpointLocation", checkpoint).trigger(availableNow=True)
        written.start(out).awaitTermination()
        session.read.parquet(out).write.mode("overwrite").parquet(str(Path(checkpoint).with_name("whole")))
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
