#!/usr/bin/env python3
"""The corpus judged by `nodectl schema` and a validator that nobody here wrote.

Every ok_*.yaml must pass. Of a bad_*.yaml each finding of `nodectl validate` that a schema can express must
be an error of the schema at the same place; those that it does not see are listed in beyond_schema.txt, so
that a schema that gets weaker is noticed. After a deliberate change run with BASALT_UPDATE_GOLDEN=1 and read
the difference.

check_schema.py NODECTL GOLDEN_DIR          exit 77: skipped
"""
import json
import os
import pathlib
import re
import subprocess
import sys

try:
    import yaml
    from jsonschema import Draft202012Validator
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed: apt-get install python3-jsonschema python3-yaml")
    sys.exit(77)

# Findings that a closed schema with types and values always sees.
ALWAYS_SEEN = {"unknown-field", "wrong-kind", "wrong-api-version", "not-allowed", "unknown-k3s-key",
               "owned-k3s-key", "refused-k3s-key"}
failures = []


class Core(yaml.SafeLoader):
    """Reads scalars as documents do: YAML 1.2, in which `no`, `0644`, 12:30 and dates are texts."""


Core.yaml_implicit_resolvers = {}
Core.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), ["t", "f"])
Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(0|[1-9][0-9]*)$"), list("-0123456789"))
Core.add_constructor("!sealed", lambda loader, node: loader.construct_scalar(node))


def mapping(loader, node):
    out = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str) or key in out:
            raise yaml.YAMLError(f"the key {key!r} is no text, or stands twice")
        out[key] = loader.construct_object(value_node, deep=True)
    return out


Core.add_constructor("tag:yaml.org,2002:map", mapping)


def check(condition, what):
    if not condition:
        failures.append(what)


def own_values(schema, defs, path=""):
    """Defaults and examples obey the schema that they stand in."""
    for name, prop in schema.get("properties", {}).items():
        for value in ([prop["default"]] if "default" in prop else []) + prop.get("examples", []):
            for error in Draft202012Validator({**prop, "$defs": defs}).iter_errors(value):
                failures.append(f"{path}.{name}: its own {value!r}: {error.message}")


nodectl, golden = sys.argv[1], pathlib.Path(sys.argv[2])
validators = {}
for kind in ("MachineConfig", "TrustPolicy", "Action", "ConfigSet"):
    schema = json.loads(subprocess.run([nodectl, "schema", "--kind", kind], check=True, capture_output=True).stdout)
    Draft202012Validator.check_schema(schema)
    own_values(schema, schema["$defs"], kind)
    for name, section in schema["$defs"].items():
        own_values(section, schema["$defs"], name)
    validators[kind] = Draft202012Validator(schema)


def places(error):
    """Where an error is, as paths of findings without the indices of lists."""
    path = [str(part) for part in error.absolute_path if not isinstance(part, int)]
    names = [""]
    if error.validator == "additionalProperties":
        names = [name for name in error.instance if name not in error.schema.get("properties", {})]
    elif error.validator == "required":
        names = [name for name in error.validator_value if name not in error.instance]
    elif error.validator == "propertyNames" or (error.parent and error.parent.validator == "propertyNames"):
        names = [str(error.instance)]
    return {".".join(path + [name]).strip(".") for name in names}


def judge(text):
    """(refused by YAML, the errors of the schema)"""
    try:
        document = yaml.load(text, Core)
    except (yaml.YAMLError, ValueError, RecursionError):
        return True, []
    kind = document.get("kind") if isinstance(document, dict) else None
    return False, list(validators.get(kind, validators["MachineConfig"]).iter_errors(document))


def is_seen(path, seen):
    """An element is `list[key]` in a finding; a map's entry too, and there the key belongs to the place."""
    return re.sub(r"\[.*?\]", "", path) in seen or re.sub(r"\[(.*?)\]", r".\1", path) in seen


good = refused = unreadable = 0
beyond = []
for file in sorted((golden / "configs").glob("*.yaml")):
    is_unreadable, errors = judge(file.read_bytes())
    if file.name.startswith("ok_"):
        good += 1
        check(not is_unreadable, f"{file.name} is good, and PyYAML cannot read it")
        for error in errors:
            check(False, f"{file.name} is good, and the schema refuses {error.json_path}: {error.message[:200]}")
        continue
    unreadable += is_unreadable
    refused += bool(errors)
    seen = set().union(*map(places, errors))
    for line in [] if is_unreadable else file.with_suffix(".errors").read_text().splitlines():
        finding = re.match(r"([a-z0-9-]+): (?:\d+:\d+: )?(?:(\S+(?:\[.*?\]\S*)*): )?", line)
        code, path = finding[1], finding[2] or ""
        if code == "warning" or is_seen(path, seen):
            continue
        check(code not in ALWAYS_SEEN, f"{file.name}: the schema does not see {code} at {path}")
        beyond.append(f"{file.stem}: {code}: {path}\n")

listed = golden / "beyond_schema.txt"
if "BASALT_UPDATE_GOLDEN" in os.environ:
    listed.write_text("".join(beyond))
kept = listed.read_text().splitlines(keepends=True)
for line in sorted(set(beyond) - set(kept)):
    check(False, f"the schema does not see, and beyond_schema.txt does not say so: {line.strip()}")
for line in sorted(set(kept) - set(beyond)):
    check(False, f"beyond_schema.txt says that the schema does not see this, and it does: {line.strip()}")
check(good >= 20 and refused >= 30, f"hardly a corpus: {good} good ones, {refused} refused")
print(f"{good} good configs pass; of the bad ones {refused} are refused, {unreadable} are no YAML; "
      f"{len(beyond)} findings need nodectl validate")
for failure in failures:
    print(failure)
sys.exit(1 if failures else 0)
