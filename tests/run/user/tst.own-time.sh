# A time that is shown is that of the record: equal to what was kept of the same firing.
$dyntrace -q -n '
BEGIN { this->t = timestamp; printf("%d %d\n", this->t, timestamp); }
pid$target:a.out:square:entry /arg0 == 2/ { self->t = timestamp; printf("%d %d\n", self->t, timestamp); }
pid$target:a.out:square:return /self->t/ { printf("%d %d\n", timestamp > self->t, 1); }
' -c "$triggers/answers" | awk '/^[0-9]/ { print $1 == $2 }'
