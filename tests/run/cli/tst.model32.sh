# -32: long and pointers have 4 bytes, for the tool's own probes and nothing else.
cat >model32.tmp.d <<'D'
struct node { long val; char *name; struct node *next; long long big; };
typedef struct { char c; void *p; size_t n; } mixed_t;
int a[4];
BEGIN
{
	printf("%d %d %d %d\n", sizeof(long), sizeof(unsigned long), sizeof(void *), sizeof(long long));
	printf("%d %d %d %d\n", sizeof(size_t), sizeof(uintptr_t), sizeof(ptrdiff_t), sizeof(time_t));
	printf("%d %d %d %d\n", sizeof(int64_t), sizeof(uint64_t), sizeof(int), sizeof(sizeof(int)));
	printf("%d %d %d %d\n", sizeof(struct node), sizeof(mixed_t), offsetof(struct node, next), offsetof(mixed_t, n));
	printf("%d %d\n", sizeof(2147483647L), sizeof(4294967296L));
	printf("%d %u %d\n", (long)0x1ffffffff, (unsigned long)-1, (int64_t)0x1ffffffff);
	printf("%ld %lu %lld\n", (long)5000000000, (unsigned long)5000000000, (long long)5000000000);
}
/* Pointers of the tool itself stay whole, and what they point to has the same layout. */
BEGIN
{
	this->p = (struct node *)alloca(sizeof(struct node));
	this->p->val = -7;
	this->p->big = 1 << 20;
	this->q = this->p;
	bytes = (char *)this->p;
	printf("%d %d %d\n", this->q->val, this->q->big, ((long *)this->p)[0]);
	printf("%d\n", (char *)&this->p->next - (char *)this->p);
	a[2] = 9;
	this->i = &a[1];
	printf("%d %d\n", *(this->i + 1), *(int *)((char *)this->i + 4));
	@ = sum((unsigned long)-1);
	exit(0);
}
D
$dyntrace -32 -qs model32.tmp.d 2>&1
$dyntrace -32 -64 -qn 'BEGIN { trace(sizeof(long)); exit(0); }'
echo
$dyntrace -32 -qn 'BEGIN { printf("%ld", (long long)1); exit(0); }' 2>&1
$dyntrace -32 -qn 'tick-1ms { trace(sizeof(long)); exit(0); } ERROR, END { printf(" end\n"); }'
$dyntrace -32 -n 'pid$target:a.out:greet:entry { trace(arg0); }' -c "$triggers/requests 1 1" 2>&1 | sed 's/pid[0-9][0-9]*/pidN/'
$dyntrace -31 -n BEGIN 2>&1
rm -f model32.tmp.d
