BEGIN {}
dtrace:::END {}
pid$target:a.out:foo*:entry {}
pid$target:libc.so.6:__libc_start_?ain:1c {}
foo:entry {}
:libc.so*::return {}
pid$target:a.out:"ns::f(int)":entry {}
pid$pid:lib[a-c]*::entry {}
::-[NSObject?init]:entry {}
12 {}
tick-100ms, profile-97, syscall::read*: {}
