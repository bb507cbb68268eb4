BEGIN { }
tick-1s /arg0/ { }
END { x = 1; }
