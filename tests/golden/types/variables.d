int declared;
string names[int, string];
self string who;
this uint8_t small;
BEGIN
{
	declared = 300;
	implicit = timestamp;
	names[1, "x"] = execname;
	self->who = "me";
	self->t = walltimestamp;
	self->arr[probefunc, tid] = arg0;
	this->small = declared;
	this->other = pid;
	count1++;
	total[self->who]++;
	total[self->who] += 5;
	ptr = &((long *)arg0)[1];
}
END { trace(implicit); trace(self->arr["f", 2]); trace(ptr[1]); }
