mkdir -p tree/inner
echo x >tree/file; echo y >tree/inner/file
chmod 0600 tree/file; chmod 0711 tree/inner
ln -s file tree/link
touch -d @1000000005 tree/file
