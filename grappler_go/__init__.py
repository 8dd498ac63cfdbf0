"""grappler-go: TensorFlow programs made faster by a Grappler pass and its policy.

Importing this package does nothing and does not import TensorFlow. The first
call that needs it does.

    import tensorflow as tf
    import grappler_go

    grappler_go.enable()              # the shipped policy
    model.fit(...)                    # unchanged
    for report in grappler_go.reports():
        print(report)                 # what happened to each graph, and why

Switching:    load, enable, disable, scope, refresh, is_enabled
What happened: reports, last_report, clear_reports, Report
Plans:        Plan, load_plan, save_plan, plan_summary, diff_plans
Graphs:       capture, load_captured, CapturedGraph, OpGraph, decide, Decided
Policies:     Policy, PythonPolicy, op_vocabulary, op_feature_names,
              device_feature_names
Devices:      Machine, local_machine, load_machine, machine_names
Simulation:   simulate, simulate_plans, Simulation, uncosted_ops, UncostedOps
Tuning:       tune, Tuned
Whole programs and models: run_script, optimize_saved_model

The environment variable GRAPPLER_GO=0 wins over everything here: enable() then
does nothing, load() does nothing, and is_enabled() is False.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that defines it. Resolved on first use (PEP 562), so
# that `import grappler_go` stays free of TensorFlow.
_EXPORTS = {
    "load": "control",
    "enable": "control",
    "disable": "control",
    "scope": "control",
    "refresh": "control",
    "is_enabled": "control",
    "reports": "report",
    "last_report": "report",
    "clear_reports": "report",
    "Report": "report",
    "load_plan": "plans",
    "save_plan": "plans",
    "plan_summary": "plans",
    "diff_plans": "plans",
    "capture": "captured",
    "load_captured": "captured",
    "CapturedGraph": "captured",
    "decide": "offline",
    "Decided": "offline",
    "local_machine": "devices",
    "load_machine": "devices",
    "machine_names": "devices",
    "simulate": "simulation",
    "simulate_plans": "simulation",
    "Simulation": "simulation",
    "uncosted_ops": "costs",
    "UncostedOps": "costs",
    "tune": "tuning.api",
    "Tuned": "tuning.api",
    "run_script": "script",
    "optimize_saved_model": "saved_model",
}
_NATIVE = (
    "Machine",
    "OpGraph",
    "Plan",
    "Policy",
    "PythonPolicy",
    "device_feature_names",
    "op_feature_names",
    "op_vocabulary",
)

__all__ = [
    "CapturedGraph",
    "Decided",
    "Machine",
    "OpGraph",
    "Plan",
    "Policy",
    "PythonPolicy",
    "Report",
    "Simulation",
    "Tuned",
    "UncostedOps",
    "__version__",
    "capture",
    "clear_reports",
    "decide",
    "device_feature_names",
    "diff_plans",
    "disable",
    "enable",
    "is_enabled",
    "last_report",
    "load",
    "load_captured",
    "load_machine",
    "load_plan",
    "local_machine",
    "machine_names",
    "op_feature_names",
    "op_vocabulary",
    "optimize_saved_model",
    "plan_summary",
    "refresh",
    "reports",
    "run_script",
    "save_plan",
    "scope",
    "simulate",
    "simulate_plans",
    "tune",
    "uncosted_ops",
]

if TYPE_CHECKING:
    from grappler_go._core import (
        Machine,
        OpGraph,
        Plan,
        Policy,
        PythonPolicy,
        device_feature_names,
        op_feature_names,
        op_vocabulary,
    )
    from grappler_go.captured import CapturedGraph, capture, load_captured
    from grappler_go.control import (
        disable,
        enable,
        is_enabled,
        load,
        refresh,
        scope,
    )
    from grappler_go.costs import UncostedOps, uncosted_ops
    from grappler_go.devices import load_machine, local_machine, machine_names
    from grappler_go.offline import Decided, decide
    from grappler_go.plans import diff_plans, load_plan, plan_summary, save_plan
    from grappler_go.report import Report, clear_reports, last_report, reports
    from grappler_go.saved_model import optimize_saved_model
    from grappler_go.script import run_script
    from grappler_go.simulation import Simulation, simulate, simulate_plans
    from grappler_go.tuning.api import Tuned, tune


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        module = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
        value = getattr(module, name)
    elif name in _NATIVE:
        from grappler_go import native

        value = getattr(native.core(), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
