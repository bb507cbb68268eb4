BEGIN
{
	a["x"] = 1; a["y"] = 2; a[strjoin("p", "q")] = a["x"] + a[strjoin("r", "s")];
	@["a", pid] = count(); @["b", pid] = count(); @z[strjoin("a", "b")] = count(); @z["c"] = count();
	this->s = "x"; this->i = 1; this->j = (char)2;
}
END /a["x"] == 1 && this->s == "x"/ { trace(this->i + this->j); }
