provider web2 { probe x(); }; BEGIN { exit(0); }
