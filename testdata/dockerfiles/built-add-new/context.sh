mkdir in; echo one >in/one
tar -C in --owner=5 --group=6 --numeric-owner --mtime=@1000000000 -cf plain.tar one
zstd -q plain.tar -o plain.tar.zst
