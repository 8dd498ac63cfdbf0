"""Checks that grappler-go can work here, and says what to do where it cannot.

Looked at: Python and TensorFlow, the library, variables in the environment,
other plugins for the same devices, whether a graph really goes through the pass
(tried in a process of its own), the devices, the policy.

With graphs (.pb files, folders of them, SavedModels, built-in programs,
module:function) it looks at these instead: ops of which no formula or no shape tells
the work, and their share of the predicted time.

Examples:
  grappler-go doctor
  grappler-go doctor recorded/ --machine=p100x4
  grappler-go doctor --policy=my_policy --json
"""

import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterator

from absl import flags

from grappler_go import native
from grappler_go.cli import common, doctor_graphs

USAGE = "[flags] [GRAPH...]"
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_string(
    "policy", "default", "The policy to look at, as for grappler-go run.", flag_values=FLAGS
)
flags.DEFINE_list(
    "machine", [], "Of GRAPH: whose rates its times are of, as for simulate.", flag_values=FLAGS
)

_STYLES = {"ok": "green", "note": "yellow", "bad": "red"}
# Packages that are known to register an optimizer for the CPU.
_OTHER_PLUGINS = ("intel_extension_for_tensorflow", "zentf")
_TRIAL_TIMEOUT_S = 120

# Loads the plugin and runs a graph; in a process of its own, because TensorFlow
# ends the process when two plugins claim the same devices.
_TRIAL = """
import json, sys
import tensorflow as tf
import grappler_go
def decide_nothing(graph):
    return None
grappler_go.enable(policy=decide_nothing, advanced={"min_ops": 0})
tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x) * 2.0 + 1.0))(tf.ones((8, 8)))
print("TRIAL " + json.dumps({
    "reports": [str(report) for report in grappler_go.reports()],
    "devices": [device.name for device in tf.config.list_logical_devices()],
}))
"""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
      what: its name.
      state: ok, note (works, but know this) or bad.
      text: what was found.
      advice: what to do; empty when nothing is to be done.
    """

    what: str
    state: str
    text: str
    advice: str = ""


def run(args: list[str]) -> int:
    """Prints the findings; 1 when one is bad."""
    common.import_tensorflow()
    if args:
        machine = common.devices_from(FLAGS.machine) if FLAGS.machine else None
        return doctor_graphs.run(args, machine, FLAGS.json)
    findings = list(_findings())
    if FLAGS.json:
        common.print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        table = common.new_table("grappler-go doctor", "", "", "")
        table.show_header = False
        for finding in findings:
            style = _STYLES[finding.state]
            table.add_row(f"[{style}]{finding.state}[/]", finding.what, finding.text)
            if finding.advice:
                table.add_row("", "", f"[bold]-> {finding.advice}[/]")
        common.OUT.print(table)
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def _findings() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield from _environment()
    try:
        tensorflow = native.tensorflow()
    except RuntimeError as error:
        yield Finding("TensorFlow", "bad", str(error), "pip install 'tensorflow>=2.16.2'")
        return
    folder = pathlib.Path(str(tensorflow.__file__)).parent
    yield Finding("TensorFlow", "ok", f"{tensorflow.__version__} in {folder}")
    yield from _other_plugins()
    path = native.library_path()
    if not path.is_file():
        yield Finding("library", "bad", f"{path} is missing", "pip install . (or: make build)")
        return
    yield Finding("library", "ok", f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    try:
        native.core()
    except RuntimeError as error:
        yield Finding("Python module", "bad", str(error), "build it again for this Python")
        return
    yield from _trial()
    yield from _policy(FLAGS.policy)


def _environment() -> Iterator[Finding]:
    if native.killed_by_environment():
        yield Finding(
            "environment", "note", "GRAPPLER_GO=0: nothing can switch the pass on", "unset it"
        )
    try:
        native.check_environment()
    except ValueError as error:
        yield Finding("environment", "bad", str(error), "unset it, or set it to 0 or 1")
    names = sorted(
        name
        for name in os.environ
        if name.startswith("GRAPPLER_GO") or name in ("TF_XLA_FLAGS", "XLA_FLAGS")
    )
    text = " ".join(f"{name}={os.environ[name]}" for name in names)
    if text:
        yield Finding("environment", "note", text)
    if "tf_xla_auto_jit" in os.environ.get("TF_XLA_FLAGS", ""):
        yield Finding(
            "auto-clustering",
            "note",
            "TF_XLA_FLAGS turns it on: TensorFlow compiles what we leave alone",
            "take --tf_xla_auto_jit out of TF_XLA_FLAGS",
        )


def _other_plugins() -> Iterator[Finding]:
    """Libraries that TensorFlow loads at import, and packages known to collide."""
    ours = native.library_path().name
    found = [
        file
        for key in ("purelib", "platlib")
        for file in pathlib.Path(sysconfig.get_paths()[key]).glob("tensorflow-plugins/*.so")
    ]
    for entry in os.environ.get("TF_PLUGGABLE_DEVICE_LIBRARY_PATH", "").split(","):
        path = pathlib.Path(entry)
        if entry:
            found += [path] if path.is_file() else path.glob("*.so")
    for file in sorted(file for file in set(found) if file.name != ours):
        yield Finding(
            "other plugin",
            "note",
            f"{file} is loaded by TensorFlow",
            "if it optimises graphs for the CPU, only one of the two can be loaded",
        )
    import importlib.util

    for package in _OTHER_PLUGINS:
        if importlib.util.find_spec(package) is not None:
            yield Finding(
                "other plugin",
                "note",
                f"{package} is installed and registers an optimizer for the CPU",
                f"pip uninstall {package}",
            )


def _trial() -> Iterator[Finding]:
    root = str(native.package_folder().parent)
    environment = {key: v for key, v in os.environ.items() if key != "GRAPPLER_GO"}
    environment["PYTHONPATH"] = os.pathsep.join(
        path for path in (root, environment.get("PYTHONPATH", "")) if path
    )
    advice = "run: python -c 'import grappler_go; grappler_go.load()'"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TRIAL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Finding("a graph", "bad", f"no answer within {_TRIAL_TIMEOUT_S} s", advice)
        return
    answers = [line for line in done.stdout.splitlines() if line.startswith("TRIAL ")]
    if done.returncode != 0 or not answers:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        yield Finding("a graph", "bad", f"exit {done.returncode}: {last}", advice)
        return
    answer = json.loads(answers[-1][len("TRIAL ") :])
    if answer["reports"]:
        yield Finding("a graph", "ok", "went through the pass")
    else:
        yield Finding("a graph", "bad", "did not reach the pass", advice)
    cores = len(os.sched_getaffinity(0))
    yield Finding("devices", "ok", f"{', '.join(answer['devices'])}; {cores} cores")


def _policy(spec: str) -> Iterator[Finding]:
    from grappler_go import settings

    try:
        common.search_current_folder()
        policy = settings.parse_policy(spec)
    except (ValueError, OSError, TypeError, RuntimeError) as error:
        yield Finding("policy", "bad", common.one_line(error), "choose another with --policy")
        return
    folder = native.default_policy_path() if spec == "default" else native.policy_folder(spec)
    card = folder / "card.json"
    text = policy.name if policy is not None else spec
    if card.is_file():
        try:
            about = json.loads(card.read_text(encoding="utf-8"))
        except ValueError as error:
            yield Finding("policy", "bad", f"{card}: {error}", "restore the file")
            return
        text += f", {folder}"
        text += "".join(f", {key} {about[key]}" for key in ("version", "made") if key in about)
    yield Finding("policy", "ok", text)
    yield _op_times()


def _op_times() -> Finding:
    """Whose op times decide: this machine's, or those that the policy was made from."""
    state = native.core().local_machine_state()
    if not state:
        return Finding("op times", "ok", f"timed here: {native.core().local_machine_path()}")
    return Finding("op times", "note", f"the policy's, of other machines. {state}")
