mkdir -p dir/sub dir/.hidden empty mixed
echo a >a.txt; echo b >b.txt; echo c >c.md; echo 'with space' >'with space.txt'
echo deep >dir/sub/deep; echo h >dir/.hidden/h; echo top >dir/top
printf '#!/bin/sh\n' >run.sh
chmod 0755 run.sh; chmod 0640 b.txt; chmod 0700 dir/sub; chmod 4755 dir/top; chmod 1777 empty
ln -s a.txt link-to-file; ln -s dir link-to-dir; ln -s /etc/passwd absolute-link; ln -s nowhere dir/dangling
ln dir/sub/deep dir/sub/deep-hard
mkfifo dir/pipe
touch -d @1000000001 a.txt; touch -d @1000000002 dir/sub/deep; touch -h -d @1000000003 dir/dangling; touch -d @1000000004 dir/sub
