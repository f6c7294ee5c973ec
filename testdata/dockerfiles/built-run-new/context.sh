echo the-secret >secret.txt
