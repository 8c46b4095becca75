#!/usr/bin/env python3
"""The catalogue of K3s's keys beside a real K3s: `k3s server --help` and `k3s agent --help`.

Every flag that the release shows must be a key of `nodectl explain k3s.config` on that role and for that
release, and every key that should be known there must be taken by the release (hidden flags are tried).

k3s_keys.py NODECTL          K3S_BINARY names the release; without it exit 77: skipped
"""
import json
import os
import re
import subprocess
import sys

binary = os.environ.get("K3S_BINARY")
if not binary:
    print("skipped: K3S_BINARY names no K3s")
    sys.exit(77)


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


minor, patch = map(int, re.search(r"v1\.(\d+)\.(\d+)", run(binary, "--version").stdout).groups())
explained = json.loads(run(sys.argv[1], "explain", "k3s.config", "-o", "json").stdout)
keys = {field["path"].removeprefix("k3s.config."): field["k3s"] for field in explained["fields"]}


def number(text):
    return int(text.removeprefix("v1.").split(".")[0])


def known(key, role):
    """Should the release know the key?"""
    if role not in key["on"] or minor < number(key["since"]):
        return False
    for port in key.get("ports", "").split(", "):
        if port and number(port) == minor and patch < int(port.split(".")[2]):
            return False
    return "until" not in key or minor <= number(key["until"])


def takes(role, name):
    out = run(binary, role, f"--{name}=1", "--help")
    return "flag provided but not defined" not in out.stdout + out.stderr


failures = []
shown = 0
for role in ("server", "agent"):
    text = run(binary, role, "--help").stdout
    flags = set(re.findall(r"^\s+--?([a-z0-9-]+)", text, re.MULTILINE)) - {"help", "h"}
    shown += len(flags)
    for flag in sorted(flags):
        if flag not in keys:
            failures.append(f"{role}: --{flag} is not in the catalogue")
        elif not known(keys[flag], role):
            failures.append(f"{role}: the catalogue says that v1.{minor}.{patch} has no --{flag}")
    for name, key in sorted(keys.items()):
        # What agents learnt later than servers is one key with one release.
        if known(key, role) and name not in flags and not takes(role, name):
            if role == "agent" and key["on"] == "servers and agents" and name in ("bind-address", "enable-pprof"):
                continue
            failures.append(f"{role}: v1.{minor}.{patch} knows no --{name}, and the catalogue says so")
print(f"v1.{minor}.{patch}: {shown} flags of server and agent compared with {len(keys)} keys")
for failure in failures:
    print(failure)
sys.exit(1 if failures else 0)
