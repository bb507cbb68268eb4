int arr[4];
int scalar;
string tab[int, string];
BEGIN
{
	x = arr[4];
	x = arr["a"];
	scalar[1] = 2;
	x = tab;
	x = tab[1];
	x = tab["a", 1];
	this->a[1] = 2;
	y[1] = 2;
	y[1, 2] = 3;
	y["a"] = 4;
	x = uregs[99];
	x = uregs[arg0];
	x = uregs;
	x = args[0];
	y[exit(1)] = 1;
	z["k", (char *)arg0] = 1;
	arr = arr;
}
