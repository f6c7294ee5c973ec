mkdir -p src/sub
echo source >src/file; echo sub >src/sub/file
echo the-secret >secret.txt
