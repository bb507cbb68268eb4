BEGIN /arg0 && (arg1 || !arg2) ^^ arg3/ { x = arg0 && arg1; y = x || arg2; x = (y, 5); }
