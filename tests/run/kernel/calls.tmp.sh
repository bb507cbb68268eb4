i=0
while [ $i -lt 20 ]; do i=$((i + 1)); : <need.sh; done
(cat need.sh need.sh; cat /nonexistent) >/dev/null 2>&1
