#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the official OpenAI client against a real cluster of the demo model: openai_client_test.py in an environment
that has the package openai, made once in build/venv-openai."""

import pathlib
import subprocess
import sys

from cluster import ROOT, Cluster, topology

FOLDER = ROOT / "build/venv-openai"
PACKAGE = "openai>=1.60,<3"
INSTALL_LIMIT = 240  # seconds
RUN_LIMIT = 240


def run(command, what, limit):
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        sys.exit(f"{what} did not end within {limit} s; the tests of the OpenAI client need it")
    if result.returncode != 0:
        sys.exit(f"{what} failed with {result.returncode}:\n{result.stdout}")


def environment():
    """The Python of an environment that has the client."""
    python = FOLDER / "bin/python"
    imports = [python, "-c", "import openai"]
    if python.exists() and subprocess.run(imports, capture_output=True).returncode == 0:
        return python
    run([sys.executable, "-m", "venv", "--clear", FOLDER], f"making the environment {FOLDER}", INSTALL_LIMIT)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
    run(pip, f"pip install '{PACKAGE}' (is there a network, or a package index for pip?)", INSTALL_LIMIT)
    run(imports, "importing openai", INSTALL_LIMIT)
    return python


def main():
    python = environment()
    script = pathlib.Path(__file__).with_name("openai_client_test.py")
    with Cluster(topology(tensor=2, http=True)) as cluster:
        cluster.start()
        base = f"http://{cluster.node.http}/v1"
        result = subprocess.run([python, script, "--base-url", base, "--model", "demo"], timeout=RUN_LIMIT)
        if result.returncode == 4:
            sys.exit(f"{script.name} says that openai is not installed in {FOLDER}")
        if result.returncode != 0:
            raise AssertionError(f"{script.name} ended with {result.returncode}")


if __name__ == "__main__":
    main()
