mkdir -p in/sub
echo one >in/one; echo two >in/sub/two
chmod 0750 in/sub; ln -s one in/link; ln in/one in/hard
tar -C in --sort=name --owner=1000 --group=1001 --numeric-owner --mtime=@1000000008 -cf plain.tar .
tar -C in --sort=name --owner=1000 --group=1001 --numeric-owner --mtime=@1000000008 -cf named-odd one sub
gzip -kn plain.tar; bzip2 -k plain.tar; xz -k plain.tar
echo 'not a tar' >fake.tar; gzip -nc in/one >one.gz; : >empty.tar.gz
touch -d @1000000009 plain.tar fake.tar one.gz
