# SPDX-License-Identifier: MIT
# @@timeout: 60
# Whatever the files are cut to and changed to, dump says so and ends by itself.
. ./lib.sh
printf 'go\n' | "$dyntrace" record -c "$triggers/calls 2 50" -g -o "$trace" leaf work > /dev/null
cat > "$tmp/damage.py" <<'P'
import os, random, shutil, subprocess, sys
trace, copy, exe = sys.argv[1:]
random.seed(5)
names = [os.path.join(d, f) for d, _, fs in os.walk(trace) for f in fs if os.path.getsize(os.path.join(d, f))]
bad = 0
for n in range(48):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(trace, copy)
    path = names[n % len(names)].replace(trace, copy, 1)
    data = bytearray(open(path, 'rb').read())
    if n % 3 == 0:
        data = data[:random.randrange(len(data))]
    else:
        for _ in range(random.choice([1, 4, 50])):
            at = random.randrange(min(len(data), 200) if n % 3 == 1 else len(data))
            data[at] = random.choice([0, 255, random.randrange(256)])
    open(path, 'wb').write(data)
    form = ['--json', '--folded', '--chrome', '--follow'][n % 4]
    p = subprocess.run([exe, 'dump', form, copy], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=50)
    if p.returncode not in (0, 1):
        bad += 1
        print(n, path, p.returncode, p.stderr[-300:])
print(bad, 'bad')
P
python3 "$tmp/damage.py" "$trace" "$tmp/copy" "$dyntrace"
