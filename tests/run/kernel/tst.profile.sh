# Samples on every processor; BEGIN, tick and END share what the kernel counts.
. ./need.sh
$dyntrace -qn '
BEGIN { limit = 20; }
profile-200 { @[cpu] = count(); n++; }
profile-200 /n >= limit/ { exit(3); }
tick-5s { exit(4); }
END { printf("%d\n", n >= limit); }' >/tmp/profile.$$ ; echo $?
sed -n 1p /tmp/profile.$$; rm -f /tmp/profile.$$
