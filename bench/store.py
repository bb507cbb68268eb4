# SPDX-License-Identifier: MIT
"""What was measured, kept after each figure, so that a run that is cut keeps what it has."""
import json
import os
import platform
import time


class Lost(float):
    """A figure that was measured while events were lost."""


class Store:
    """@folder: where results.json is kept and tables are written; '': nowhere."""

    def __init__(self, folder=''):
        self.folder = folder
        self.data = {'begun': time.strftime('%Y-%m-%d %H:%M'), 'machine': machine(), 'rounds': 0, 'often': 1, 'minutes': 0, 'complete': False,
                     'figures': {}, 'lost': {}, 'why': {}, 'curves': {}, 'breakdown': []}
        self.since = time.monotonic()

    def values(self, key, who):
        return self.data['figures'].get(key, {}).get(who, [])

    def lost(self, key, who):
        return self.data['lost'].get(key, {}).get(who, 0)

    def add(self, key, who, value):
        """None and NaN (the target was not run at all in that moment) are no figures."""
        if value is None or value != value:
            return
        self.data['figures'].setdefault(key, {}).setdefault(who, []).append(round(float(value), 4))
        if isinstance(value, Lost):
            of = self.data['lost'].setdefault(key, {})
            of[who] = of.get(who, 0) + 1

    def failed(self, key, who, why):
        self.data['why'].setdefault(key, {})[who] = str(why)[:300]

    def keep(self):
        self.data['minutes'] = round((time.monotonic() - self.since) / 60, 1)
        if not self.folder:
            return
        path = os.path.join(self.folder, 'results.json')
        with open(path + '.new', 'w', encoding='utf-8') as f:
            json.dump(self.data, f, indent=1, sort_keys=True)
            f.write('\n')
        os.replace(path + '.new', path)


def load(path):
    s = Store()
    with open(path, encoding='utf-8') as f:
        s.data.update(json.load(f))
    return s


def machine():
    model = ''
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as f:
        for line in f:
            if line.startswith('model name'):
                model = line.split(':', 1)[1].strip()
                break
    return f'{os.cpu_count()} processors ({model}), Linux {platform.release()}'
