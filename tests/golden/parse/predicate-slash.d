BEGIN /a / b == 2/ { }
BEGIN /(x = 1, 8 / x)/{}
BEGIN /y[2 / 1]/
/* still the end */
{}
