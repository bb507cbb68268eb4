pid$target::malloc:entry { @[probefunc] = count(); }
