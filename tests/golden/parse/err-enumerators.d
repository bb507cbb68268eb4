enum e { strlen };
enum g { pid };
enum h { one, one };
BEGIN { exit(0); }
