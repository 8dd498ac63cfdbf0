"""This machine's devices, and those of the cluster it is connected to."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from grappler_go import native

if TYPE_CHECKING:
    from grappler_go._core import Machine

# Rates of a device nobody has measured. They only have to be of the right order:
# what decides between devices of one kind is their ratio, which is then 1.
_DEFAULT_RATES = {
    "CPU": {"gflops": 100.0, "gbytes_per_s": 20.0},
    "GPU": {"gflops": 10_000.0, "gbytes_per_s": 500.0},
}
# Within a process, between processes of one host or rack.
_LINK_INSIDE = {"gbytes_per_s": 10.0, "latency_us": 5.0}
# Of both ends' CPUs, TensorFlow's gRPC takes about what `grappler-go calibrate --workers=2`
# found on two cores of an Intel Xeon with AVX-512.
_LINK_BETWEEN = {
    **{"gbytes_per_s": 1.0, "latency_us": 100.0},
    **{"cpu_us": 140.0, "cpu_us_per_mb": 530.0},
}


def physical_memory_bytes() -> int:
    """Bytes of memory that this process may use: the host's, or its container's."""
    total = 0
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) * 1024
    try:
        limit = pathlib.Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit.isdigit():
            total = min(total, int(limit))
    except OSError:
        pass  # not in a container that limits memory
    return total


def full_device_name(name: str) -> str:
    """ "CPU:1" -> "/job:localhost/replica:0/task:0/device:CPU:1".

    Raises:
      ValueError: that is not the name of a device.
    """
    tf = native.tensorflow()
    text = name if name.startswith("/") else f"/device:{name}"
    try:
        spec = tf.DeviceSpec.from_string(text)
    except ValueError as error:
        raise ValueError(f"{name!r} is not the name of a device") from error
    if spec.device_type is None:
        raise ValueError(f"{name!r} is not the name of a device: it has no type")
    defaults = tf.DeviceSpec(job="localhost", replica=0, task=0, device_index=0)
    return defaults.make_merged_spec(spec).to_string()


def available_device_names() -> list[str]:
    """Devices that ops may be placed on, as TensorFlow spells them in full.

    This starts TensorFlow's runtime: logical devices and threads cannot be
    configured after it.
    """
    tf = native.tensorflow()
    return [
        full_device_name(device.name)
        for device in tf.config.list_logical_devices()
        if device.device_type in _DEFAULT_RATES
    ]


def calibrated_machine_path() -> pathlib.Path | None:
    """The file that `grappler-go calibrate` writes and the pass reads; None: switched
    off by GRAPPLER_GO_MACHINE=0."""
    path = native.core().local_machine_path()
    return pathlib.Path(path) if path else None


def machine_of(names: list[str]) -> "Machine":
    """A machine of the named devices, with all links. Rates are those that
    `grappler-go calibrate` found for this process's CPUs, defaults elsewhere.

    Args:
      names: "CPU:1" or "/job:worker/replica:0/task:1/device:CPU:0".

    Raises:
      ValueError: a name is malformed or appears twice.
    """
    tf = native.tensorflow()
    full = [full_device_name(name) for name in names]
    if len(set(full)) != len(full):
        raise ValueError(f"a device appears twice in {names}")
    specs = [tf.DeviceSpec.from_string(name) for name in full]
    tasks = [(spec.job, spec.replica, spec.task) for spec in specs]
    memory = physical_memory_bytes()
    cores = len(os.sched_getaffinity(0))
    devices = []
    for name, spec in zip(full, specs, strict=True):
        rates = _DEFAULT_RATES.get(spec.device_type, _DEFAULT_RATES["GPU"])
        # Devices of one process share its memory.
        share = memory // tasks.count((spec.job, spec.replica, spec.task))
        devices.append(
            {
                "name": name,
                "type": spec.device_type,
                "memory_bytes": share if spec.device_type == "CPU" else 0,
                "cores": cores if spec.device_type == "CPU" else 1,
                **rates,
            }
        )
    links: list[dict[str, Any]] = []
    for src, src_task in enumerate(tasks):
        for dst, dst_task in enumerate(tasks):
            if src != dst:
                rate = _LINK_INSIDE if src_task == dst_task else _LINK_BETWEEN
                links.append({"src": src, "dst": dst, **rate})
    machine = native.core().Machine("this machine", devices=devices, links=links)
    return native.core().with_local_rates(machine)


def local_machine() -> "Machine":
    """Every device TensorFlow lists: of this process, or of the whole cluster
    once tf.config.experimental_connect_to_cluster() has been called.

    Rates are those of `grappler-go calibrate` where it was run, defaults elsewhere;
    edit the JSON (`to_json()`) and give it back through load_machine() where you know
    better. This starts TensorFlow's
    runtime.

    Example:
      grappler_go.enable(devices=grappler_go.local_machine())
    """
    return machine_of(available_device_names())


def machine_names() -> list[str]:
    """The machines that ship with the package, for load_machine()."""
    return sorted(file.stem for file in _machines_folder().glob("*.json"))


def load_machine(name: str | os.PathLike[str]) -> "Machine":
    """Reads a machine: one that ships with the package, or a JSON file.

    Args:
      name: one of machine_names(), such as "p100x4", or the path of a file. Their
        rates are data sheets' and assumptions; `sources` says which is which.

    Raises:
      OSError: there is no such machine, or the file cannot be read.
      ValueError: it is not a machine; the message names the file and the field.
    """
    path = pathlib.Path(name)
    if str(name) in machine_names():
        path = _machines_folder() / f"{name}.json"
    elif not path.exists():
        raise FileNotFoundError(
            f"no machine {str(name)!r}: expected a JSON file or one of "
            + ", ".join(machine_names())
        )
    text = path.read_text(encoding="utf-8")
    try:
        return native.core().Machine.from_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _machines_folder() -> pathlib.Path:
    return native.package_folder() / "machines"


def check_devices_exist(machine: "Machine") -> None:
    """Refuses devices that TensorFlow does not have: a graph that names one
    would end the process.

    Raises:
      ValueError: naming the device and those that exist.
    """
    available = available_device_names()
    for device in machine.devices:
        if full_device_name(device["name"]) not in available:
            raise ValueError(
                f"TensorFlow has no device {device['name']}; it has " + ", ".join(available)
            )


@contextlib.contextmanager
def visible_devices_kept() -> Iterator[None]:
    """Puts back what loading a plugin resets: which devices the program sees and
    whether their memory grows."""
    tf = native.tensorflow()
    visible = tf.config.get_visible_devices()
    growth = {
        device: tf.config.experimental.get_memory_growth(device)
        for device in tf.config.list_physical_devices("GPU")
        if device in visible
    }
    yield
    try:
        tf.config.set_visible_devices(visible)
        for device, grows in growth.items():
            if grows is not None:
                tf.config.experimental.set_memory_growth(device, grows)
    except (RuntimeError, ValueError):
        pass  # the runtime has started: it keeps the devices that it has
