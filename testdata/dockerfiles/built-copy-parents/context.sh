mkdir -p a/b/c d/e src/pkg1/lib src/pkg2/lib node_modules/x
for f in a/top.txt a/b/mid.txt a/b/c/deep.txt d/e/other.txt src/pkg1/package.json src/pkg1/lib/x.js src/pkg2/package.json src/pkg2/lib/y.ts node_modules/x/package.json; do echo "$f" >"$f"; done
chmod 0700 a/b; chmod 0711 src/pkg1
