"""Writes a policy folder as cc/policy/policy_folder.h describes it."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping

import tensorflow as tf

from grappler_go import _core


def write(
    module: tf.Module,
    signature: tf.types.experimental.ConcreteFunction,
    name: str,
    card: Mapping[str, object],
    out_dir: str,
) -> None:
    """Writes SavedModel, schema.json and card.json, replacing what was there.

    Args:
      module: holds the variables that the signature reads.
      signature: takes arrays of the policy schema, each a TensorSpec of its name, and
        returns a dict of them.
      name: of the policy, with its version: "scorer-1.2".
      card: goes into card.json: how the policy was made and how good it is.
      out_dir: the folder.
    """
    shutil.rmtree(out_dir, ignore_errors=True)
    tf.saved_model.save(module, out_dir, signatures=signature)
    # Neither is read when the policy is loaded.
    for unread in ("fingerprint.pb", "assets"):
        path = os.path.join(out_dir, unread)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.remove(path)
    schema = json.loads(_core.schema_json())
    read = {spec.name for spec in tf.nest.flatten(signature.structured_input_signature)}
    schema["name"] = name
    schema["inputs"] = [k for k in schema["inputs"] if k in read]
    schema["outputs"] = [k for k in schema["outputs"] if k in signature.structured_outputs]
    schema["files"] = _checksums(out_dir)
    _write_json(os.path.join(out_dir, "schema.json"), schema)
    _write_json(os.path.join(out_dir, "card.json"), {"name": name, **card})


def _checksums(folder: str) -> dict[str, str]:
    """Path below `folder` -> SHA-256, for every file."""
    sums = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            sums[os.path.relpath(path, folder)] = digest
    return dict(sorted(sums.items()))


def _write_json(path: str, value: object) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
