mkdir -p node_modules/m src/node_modules/n docs/a build
for f in node_modules/m/x src/node_modules/n/y src/main.c src/main.o docs/README.md docs/a/b.md docs/keep.md build/out .env a.log sub.log 'file with space' '#hash' '!bang' README.md; do
  echo "$f" >"$f"
done
cat >.dockerignore <<'IGNORE'
# comment
node_modules
**/*.o
docs/*.md
!docs/keep.md
/build
*.log
!sub.log

.env*
docs/a
!docs/a/b.md
\#hash
Dockerfile
./src/node_modules/../node_modules/n
IGNORE
