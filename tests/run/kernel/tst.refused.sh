# What the kernel does not take is said with the line of the clause, in words; status 1.
. ./need.sh
{
	echo 'syscall::write:entry { @ = count(); }'
	echo
	echo 'syscall::read:entry'
	echo '{ this->s = "";'
	i=0
	while [ $i -lt 400 ]; do
		echo 'this->s = strjoin(this->s, index(execname, "b") > 3 ? strstr(execname, "a") : rindex(this->s, "q") == 3 ? "y" : "z");'
		i=$((i + 1))
	done
	echo '}'
} >refused.tmp.d
"$dyntrace" -qs refused.tmp.d 2>&1 | sed 's/[0-9]* instructions/N instructions/'
printf '\n\nsdt:raw_syscalls::sys_enter\n{\n\ttrace(uregs[R_RIP]);\n}\n' >refused.tmp.d
"$dyntrace" -qs refused.tmp.d 2>&1; echo $?
rm -f refused.tmp.d
