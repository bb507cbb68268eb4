a:b:c:d:e { }
BEGIN,
{ }
BEGIN END { }
foo::"x:entry { }
