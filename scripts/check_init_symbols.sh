#!/bin/bash
# check_init_symbols.sh [OBJECT...]: what runs between clone and exec may call nothing that allocates, locks, prints or
# throws. Compares the undefined symbols of runtime/init_child*.cpp's objects with a list. Without arguments it takes
# the objects of each build directory there is.
set -eu
cd "$(dirname "$0")/.."
permitted=' __errno_location _exit memcpy memmove memset memcmp strlen syscall '
objects=("$@")
if [ ${#objects[@]} -eq 0 ]; then
  mapfile -t objects < <(find build -path '*ctr_init_child.dir*' -name 'init_child*.o' 2>/dev/null | sort)
fi
if [ ${#objects[@]} -eq 0 ]; then
  echo "check_init_symbols: no object of runtime/init_child*.cpp: build first" >&2
  exit 1
fi
bad=0
for object in "${objects[@]}"; do
  for symbol in $(nm -u "$object" | awk '{print $NF}'); do
    case "$symbol" in _ZN3ctr4init* | _GLOBAL_OFFSET_TABLE_) continue ;; esac
    if [[ "$permitted" != *" $symbol "* ]]; then
      echo "check_init_symbols: $object uses $symbol" >&2
      bad=1
    fi
  done
done
exit $bad
