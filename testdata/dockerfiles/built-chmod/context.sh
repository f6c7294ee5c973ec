mkdir -p t/dir; echo f >t/file; echo x >t/run; echo i >t/dir/inner
chmod 0755 t/run; chmod 0640 t/file; ln -s file t/link
