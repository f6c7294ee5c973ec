#!/usr/bin/env bash
# What tests/stress/come_and_go.sh shows with 500 containers, with a few.
exec bash "$(dirname "$0")/../stress/come_and_go.sh" 24
