mkdir d; echo x >d/x; chmod 0750 d
