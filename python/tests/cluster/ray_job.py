"""ray_job.py PICTURES OUT CHECKPOINT LOG MODEL: the whole job as the guide has it, slowed down and with a log of what was computed."""

import os
import sys
import time

import ray
from ray.data.checkpoint import CheckpointConfig

from ocelli_vision.ray import Embed

#: Of a picture, so that there is time to kill something.
SECONDS = 0.03


class Logged(Embed):
    def __init__(self, path: str, log: str) -> None:
        super().__init__(path, device="cpu", threads=1)
        self.log = log

    def __call__(self, table):
        rows = super().__call__(table)
        time.sleep(SECONDS * rows.num_rows)
        with open(self.log, "a") as log:
            log.write("".join(f"{os.getpid()} {id}\n" for id in rows["id"].to_pylist()))
        return rows


def main(pictures: str, out: str, checkpoint: str, log: str, model: str) -> None:
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.checkpoint_config = CheckpointConfig("id", checkpoint, delete_checkpoint_on_success=False)
    # Small files would become one block, and there would be no checkpoint before the end.
    context.use_datasource_v2, context.target_min_block_size = False, 1
    (
        ray.data.read_parquet(pictures)
        .map_batches(
            Logged,
            fn_constructor_args=[model, log],
            batch_format="pyarrow",
            batch_size=5,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=2),
            max_restarts=-1,
            max_task_retries=-1,
        )
        .write_parquet(out)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
