"""One worker of a TensorFlow cluster: a server with one thread of each kind.

    python -m grappler_go_training.measure.server TASK ADDRESSES MEMORY_LIMIT FD_IN FD_OUT

ADDRESSES: "localhost:4711,localhost:4712". Requests: {"do": "ready"}, {"do": "reset_peak"},
{"do": "memory"} -> see memory.read().
"""

import sys
from typing import Any

from grappler_go.bench import process
from grappler_go_training.measure import memory


def main(task: int, addresses: list[str], memory_limit: int, fds: list[str]) -> None:
    """Serves until the pipe is closed."""
    servers: list[Any] = []

    def ready(request: dict[str, Any]) -> dict[str, Any]:
        del request
        import tensorflow as tf

        memory.limit(memory_limit)
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
        )
        cluster = {"worker": addresses}
        servers.append(
            tf.distribute.Server(cluster, job_name="worker", task_index=task, config=config)
        )
        return {}

    handlers: dict[str, process.Handler] = {
        "ready": ready,
        "reset_peak": memory.reset_peak,
        "memory": memory.read,
    }
    process.serve(handlers, int(fds[0]), int(fds[1]))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]), sys.argv[4:])
