mkdir -p t/sub t/keep
for f in t/a.txt t/b.md t/sub/a.txt t/sub/b.md t/keep/a.txt; do echo "$f" >"$f"; done
