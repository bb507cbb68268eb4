#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns an object of clang -target bpf into tables in C: instructions, functions, calls between them, BTF.

usage: embed-bpf.py OBJECT OUTPUT.c
"""
import struct
import sys

R_BPF_64_32 = 10
BTF_EXTRA = {1: lambda n: 4, 3: lambda n: 12, 4: lambda n: 12 * n, 5: lambda n: 12 * n, 6: lambda n: 8 * n,
             13: lambda n: 8 * n, 14: lambda n: 4, 15: lambda n: 12 * n, 17: lambda n: 4, 19: lambda n: 12 * n}
BTF_FUNC = 12


def text_at(strs, off):
    return strs[off:strs.index(b'\0', off)].decode()


class Object:
    def __init__(self, data):
        self.data = data
        shoff, = struct.unpack_from('<Q', data, 40)
        shentsize, shnum, shstrndx = struct.unpack_from('<HHH', data, 58)
        heads = [struct.unpack_from('<IIQQQQIIQQ', data, shoff + i * shentsize) for i in range(shnum)]
        names = self.bytes_of(heads[shstrndx])
        self.index = {}
        self.sections = {}
        for i, h in enumerate(heads):
            self.index.setdefault(text_at(names, h[0]), i)
            self.sections.setdefault(text_at(names, h[0]), self.bytes_of(h))
        strs, syms = self.sections['.strtab'], self.sections['.symtab']
        self.symbols = [struct.unpack_from('<IBBHQQ', syms, o) for o in range(0, len(syms), 24)]
        self.symbol_names = [text_at(strs, s[0]) for s in self.symbols]

    def bytes_of(self, head):
        return self.data[head[4]:head[4] + head[5]] if head[1] != 8 else b''

    def functions(self):
        text = self.index['.text']
        found = [(s[4] // 8, s[5] // 8, n) for s, n in zip(self.symbols, self.symbol_names)
                 if s[1] & 15 == 2 and s[3] == text]
        return sorted(found)

    def calls(self, funcs):
        by_place = {f[0]: i for i, f in enumerate(funcs)}
        rel = self.sections.get('.rel.text', b'')
        for off, info in struct.iter_unpack('<QQ', rel):
            if info & 0xffffffff != R_BPF_64_32:
                sys.exit(f'relocation of type {info & 0xffffffff} at {off:#x}: the library may have no data')
            sym = self.symbols[info >> 32]
            imm, = struct.unpack_from('<i', self.sections['.text'], off + 4)
            yield off // 8, by_place[sym[4] // 8 if sym[1] & 15 == 2 else imm + 1]


def btf_functions(btf):
    _, _, _, hdr_len, type_off, type_len, str_off, _ = struct.unpack_from('<HBBIIIII', btf)
    strs, at, end, n = btf[hdr_len + str_off:], hdr_len + type_off, hdr_len + type_off + type_len, 1
    ids = {}
    while at < end:
        name, info, _ = struct.unpack_from('<III', btf, at)
        kind, vlen = info >> 24 & 31, info & 0xffff
        if kind == BTF_FUNC:
            ids[text_at(strs, name)] = n
        at += 12 + BTF_EXTRA.get(kind, lambda _: 0)(vlen)
        n += 1
    return ids


def rows(items, per):
    items = list(items)
    return ''.join('\t' + ' '.join(items[i:i + per]) + '\n' for i in range(0, len(items), per))


def main():
    with open(sys.argv[1], 'rb') as f:
        obj = Object(f.read())
    text, btf = obj.sections['.text'], obj.sections['.BTF']
    funcs, ids = obj.functions(), btf_functions(btf)
    calls = sorted(obj.calls(funcs))
    with open(sys.argv[2], 'w', encoding='ascii') as out:
        out.write('/* SPDX-License-Identifier: MIT */\n/* Made by tools/embed-bpf.py. */\n#include "ebpf/rtk_image.h"\n')
        out.write('const uint64_t rtk_insns[] = {\n')
        out.write(rows((f'0x{v:016x},' for v, in struct.iter_unpack('<Q', text)), 5) + '};\n')
        out.write('const struct rtk_func rtk_funcs[] = {\n')
        for first, cnt, name in funcs:
            out.write(f'\t{{ "{name}", {first}, {cnt}, {ids[name]} }},\n')
        out.write(f'}};\nconst uint32_t rtk_func_cnt = {len(funcs)};\nconst struct rtk_call rtk_calls[] = {{\n')
        out.write(rows((f'{{ {i}, {f} }},' for i, f in calls), 8))
        out.write(f'}};\nconst uint32_t rtk_call_cnt = {len(calls)};\nconst uint8_t rtk_btf[] = {{\n')
        out.write(rows((f'{b},' for b in btf), 24))
        out.write(f'}};\nconst uint32_t rtk_btf_bytes = {len(btf)};\n')


if __name__ == '__main__':
    main()
