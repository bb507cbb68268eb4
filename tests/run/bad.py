#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scripts that no person would write: a message soon, few of them, and at the right place.

usage: bad.py DYNTRACE

Each case: name, script, most messages (0: it compiles), what the first message has to say.  Speaks TAP.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from procs import SLOW  # noqa: E402

MANY = 100000
CASES = [
    ('comment without an end', 'BEGIN { trace(1); }\n\n /* never\n ends\n\n', 1, r'line 3: end-of-file .* \*/'),
    ('string without an end', 'BEGIN {\n trace("never\n ends); }\nEND { trace(2); }\n', 2, r'line 2: newline encountered in string'),
    ('string at the end', 'BEGIN {\n trace("never', 2, r'line 2: syntax error near """'),
    ('character without an end', "BEGIN {\n trace('a); }\nEND { }\n", 2, r'line 2: newline encountered in character'),
    ('brace without an end', 'BEGIN\n{\n trace(1);\n\n', 1, r'line 2: syntax error .*\n.*\n.*\^ this "\{" has no "\}"'),
    ('brace without an end, and a clause', 'BEGIN\n{\n trace(1);\n\nEND { trace(2); }\n', 2, r'line 5: syntax error near "\{"'),
    ('parenthesis without an end', 'BEGIN { trace((1 + 2; }\nEND { trace(3); }\n', 1, r'line 1: syntax error near ";"'),
    ('predicate without an end', 'BEGIN /x == 1 { trace(1); }\nEND { trace(2); }\n', 1, r'line 1: syntax error near "\{"'),
    ('structure without an end', 'struct s { int a;\nBEGIN { trace(1); }\n', 1, r'line 2: syntax error'),
    ('parentheses inside each other', 'BEGIN { x = ' + '(' * MANY + '1', 2, r'more than \d+ levels'),
    ('signs before each other', 'BEGIN { x = ' + '- ' * MANY + '1; }', 1, r'more than \d+ levels'),
    ('brackets inside each other', 'BEGIN { x = ' + 'a[' * MANY, 2, r'more than \d+ levels'),
    ('ifs inside each other', 'BEGIN { ' + 'if (1) { ' * MANY, 5, r'more than \d+ levels'),
    ('conditions inside each other', 'BEGIN { x = ' + '1 ? ' * MANY, 2, r'more than \d+ levels'),
    ('calls inside each other', 'BEGIN { x = ' + 'strlen(' * MANY, 2, r'levels'),
    ('keys inside each other', 'BEGIN { ' + '@a[' * MANY, 2, r'syntax error|levels'),
    ('casts before each other', 'BEGIN { x = ' + '(int)' * MANY + '1; }', 2, r'levels'),
    ('sizeof of sizeof', 'BEGIN { x = ' + 'sizeof ' * MANY + '1; }', 2, r'levels'),
    ('assignments', 'BEGIN { ' + 'x = ' * MANY + '1; }', 2, r'levels'),
    ('pointers to functions', 'int ' + '(*' * MANY + 'x;', 2, r'levels'),
    ('functions of functions', 'int x' + '(int (*)' * MANY + ';', 2, r'levels'),
    ('unions and enumerations', 'union { enum { A = ' * MANY, 2, r'line 1'),
    ('translators', 'BEGIN { x = ' + 'xlate <int> (' * MANY, 2, r'levels'),
    ('offsets', 'BEGIN { x = ' + 'offsetof(struct { int a[' * MANY, 2, r'line 1'),
    ('parameters of probes', 'provider p { probe q(' + 'int (*)(' * MANY, 2, r'line 1'),
    ('arrays of arrays', 'BEGIN { x' + '[1]' * MANY + ' = 1; }', 1, r'line 1'),
    ('operands', 'BEGIN { x = 1' + ' + 1' * MANY + '; }', 1, r'expression is too long'),
    ('members', 'BEGIN { x = p' + '->a' * MANY + '; }', 1, r'expression is too long'),
    ('pointers to pointers', 'int ' + '*' * MANY + 'x;', 1, r'levels'),
    ('dimensions', 'int x' + '[2]' * MANY + ';', 1, r'line 1: '),
    ('structures inside each other', 'struct { ' * MANY, 2, r'levels'),
    ('opening braces', '{' * MANY, 5, r'syntax error'),
    ('closing braces', '}' * MANY, 5, r'syntax error'),
    ('unions of unions', 'typedef union { int a; } t0;\n' + ''.join(f'typedef union {{ int a{i}; t{i - 1}; t{i - 1}; }} t{i};\n'
     for i in range(1, 60)) + 't59 *p; BEGIN { trace(p->nosuch); }', 1, r'nosuch'),
    ('a large integer', 'BEGIN { trace(' + '9' * MANY + '); }', 1, r'integer overflow'),
    ('a large hexadecimal integer', 'BEGIN { trace(0x' + 'f' * MANY + '); }', 1, r'integer overflow'),
    ('a large floating-point number', 'BEGIN { trace(1e' + '9' * MANY + '); }', 1, r'floating-point'),
    ('a long character', "BEGIN { trace('" + 'y' * MANY + "'); }", 1, r'character constant is too long'),
    ('a large dimension', 'int x[99999999999999];', 1, r'array dimension'),
    ('a large macro argument', 'BEGIN { trace($99999999999999999999); }', 1, r'is not defined'),
    ('a long name that is unknown', 'BEGIN { trace(' + 'x' * MANY + '); }', 1, r'failed to resolve xxx'),
    ('a long description', 'p' * MANY + ':::{ }', 1, r'probe description pppp'),
    ('a long glob', '*a' * MANY + '*:::{ }', 1, r'probe description \*a\*a'),
    ('a long option', '#pragma D option ' + 'z' * MANY + '=' + 'z' * MANY + '\n', 1, r'failed to set option'),
    ('unknown characters', '\xff\xfe\x01 BEGIN', 1, r'near byte 0xff'),
    ('a NUL', 'BEGIN { trace(1); }\n\0END', 1, r'line 2: there is a NUL'),
    ('keys', 'BEGIN { @[' + '1, ' * MANY + '1] = count(); }', 1, r'line 1: '),
    ('a long name', 'BEGIN { %s = 1; trace(%s); exit(0); }' % ('x' * MANY, 'x' * MANY), 0, ''),
    ('a long string', 'BEGIN { trace("' + 'y' * MANY + '"); exit(0); }', 0, ''),
    ('a long line', 'BEGIN { ' + 'x = "text";' * 5000 + ' exit(0); }', 0, ''),
    ('a long comment', '/*' + '*\n' * MANY + '*/ BEGIN { exit(0); }', 0, ''),
    ('empty lines', '\n' * MANY + 'BEGIN { exit(0); }', 0, ''),
    ('a wide field', 'BEGIN { printf("%99999999999d %*d", 1, 2147483647, 1); exit(0); }', 0, ''),
]


def wrong_with(exe, tmp, script, most, wanted):
    with open(os.path.join(tmp, 'bad.d'), 'wb') as f:
        f.write(script.encode('latin-1'))
    start = time.monotonic()
    try:
        p = subprocess.run([exe, '-q', '-s', 'bad.d'], cwd=tmp, stdin=subprocess.DEVNULL, capture_output=True, timeout=30 * SLOW)
    except subprocess.TimeoutExpired:
        return 'no end after 30 s'
    said = p.stderr.decode('latin-1')
    cnt = said.count('failed to compile')
    if p.returncode != (1 if most else 0) or cnt > most or (most and not cnt):
        return f'status {p.returncode}, {cnt} messages: {said[:300]!r}'
    if not re.search(wanted, said.split('dyntrace: ', 2)[1] if most else ''):
        return f'it said {said[:300]!r}'
    if len(said) > 20000:
        return f'{len(said)} bytes of messages'
    if time.monotonic() - start > 10:
        return f'it took {time.monotonic() - start:.1f} s'
    return ''


def main():
    exe = os.path.abspath(sys.argv[1])
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        for i, (name, script, most, wanted) in enumerate(CASES, 1):
            wrong = wrong_with(exe, tmp, script, most, wanted)
            failed += bool(wrong)
            print(f"{'not ' if wrong else ''}ok {i} - {name}", flush=True)
            if wrong:
                print('# ' + wrong)
    print(f'1..{len(CASES)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
