#!/usr/bin/env bash
# Reports files over 500 lines: which subject inside them deserves a file of its own?
cd "$(dirname "$0")/.."
git ls-files '*.cpp' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 500 {print $1, $2; n = 1} END {exit n}'
