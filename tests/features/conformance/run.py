"""Runs the conformance checks against $CTR_OCI: run.py [PATTERN]."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
for subject in ("process", "mounts", "namespaces", "resources", "policies", "hooks", "lifecycle"):
    if os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), subject + ".py")):
        __import__(subject)

sys.exit(1 if harness.main(sys.argv[1] if len(sys.argv) > 1 else "") else 0)
