# SPDX-License-Identifier: MIT
def text(b): return ''
def keep(t, quick): pass
