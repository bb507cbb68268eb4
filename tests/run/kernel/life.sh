/bin/true
sh -c 'kill -9 $$'
exit 0
