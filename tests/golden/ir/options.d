#pragma D option strsize=40
#pragma D option destructive
#pragma D option ustackframes=7
BEGIN { s = "a"; trace(s); ustack(); system("echo %s", s); freopen("/tmp/x"); setopt("quiet"); setopt("strsize", "5"); @[ustack()] = count(); }
