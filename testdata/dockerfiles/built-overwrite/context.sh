mkdir -p new/one/below new/etc
echo f >new/one/below/f; echo hosts >new/etc/extra; echo plain >plain
