"""A device decision executed by another process of a TensorFlow cluster."""

import json
import socket
import subprocess
import sys

import helpers
import pytest

WORKER = """
import sys
import tensorflow as tf
server = tf.distribute.Server(
    {"worker": sys.argv[2].split(",")}, job_name="worker", task_index=int(sys.argv[1]))
print("ready", flush=True)
server.join()
"""

DRIVER = """
import json, sys
import numpy as np
import tensorflow as tf
import grappler_go, helpers
tf.config.experimental_connect_to_cluster(
    tf.train.ClusterSpec({"worker": sys.argv[1].split(",")}))

@tf.function
def f(x):
    with tf.device("/job:worker/task:0"):
        y = tf.nn.relu(tf.matmul(x, x, name="a"))
        return tf.reduce_sum(tf.linalg.matmul(y, x, name="b") + 1.0)

x = tf.constant(np.arange(16, dtype=np.float32).reshape(4, 4))
expected = float(f(x))
second = "/job:worker/replica:0/task:1/device:CPU:0"
machine = grappler_go.local_machine()

def fill(plan, graph):
    if graph.find("b") >= 0:
        plan.devices = [second]
        device = np.full(graph.num_ops, -1, np.int32)
        device[graph.find("b")] = 0
        plan.device = device

grappler_go.enable(helpers.planned(fill), devices=machine, **helpers.FORCED)
result, nodes = helpers.executed(f, x)
print(json.dumps({
    "expected": expected, "got": float(result),
    "device_of": {n.name: n.device for n in nodes},
    "machine": [d["name"] for d in machine.devices],
    "outcomes": helpers.outcomes(),
}))
"""


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def cluster():
    """Addresses of two worker processes on loopback."""
    addresses = ",".join(f"localhost:{port}" for port in free_ports(2))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(task), addresses],
            env=helpers.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for task in range(2)
    ]
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        yield addresses
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_an_op_runs_on_another_worker(cluster):
    out = json.loads(helpers.run_python(DRIVER, cluster).stdout.splitlines()[-1])
    second = "/job:worker/replica:0/task:1/device:CPU:0"
    assert second in out["machine"]
    assert out["device_of"]["b"] == second, out["outcomes"]
    assert "task:0" in out["device_of"]["a"]
    assert out["got"] == pytest.approx(out["expected"])
