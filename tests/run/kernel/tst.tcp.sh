# TCP and UDP between sockets of this machine: who talks to whom, flags, states.
. ./need.sh
for host in 127.0.0.1 ::1; do
	if [ $host = ::1 ] && ! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then
		echo "SKIP: there is no IPv6"
		exit 0
	fi
	$dyntrace -qn '
inline int of_ours[int a, int b] = a >= 17722 && a <= 17724 || b >= 17722 && b <= 17724;
tcp:::connect-request, tcp:::accept-refused, tcp:::connect-refused, tcp:::connect-established, tcp:::accept-established
/of_ours[args[4]->tcp_sport, args[4]->tcp_dport]/
{
	printf("%s %s %s %s%d\n", probename, args[2]->ip_saddr, args[2]->ip_daddr,
	    args[4]->tcp_sport >= 17722 && args[4]->tcp_sport <= 17724 ? "from " : "to ",
	    args[4]->tcp_sport >= 17722 && args[4]->tcp_sport <= 17724 ? args[4]->tcp_sport : args[4]->tcp_dport);
}
tcp:::state-change /args[3]->tcps_lport == 17722/
{
	printf("server %s -> %s\n", tcp_state_string[args[5]->tcps_state], tcp_state_string[args[3]->tcps_state]);
}
tcp:::state-change /args[3]->tcps_rport == 17722/
{
	printf("client %s -> %s\n", tcp_state_string[args[5]->tcps_state], tcp_state_string[args[3]->tcps_state]);
}
tcp:::send, tcp:::receive
/of_ours[args[4]->tcp_sport, args[4]->tcp_dport] && args[4]->tcp_flags & TH_PSH/
{
	printf("%s %d bytes from %s\n", probename, args[2]->ip_plength - args[4]->tcp_offset, args[3]->tcps_lport == 17722 ? args[3]->tcps_raddr : args[3]->tcps_laddr);
}
udp:::send, udp:::receive /args[4]->udp_dport == 17724/
{
	printf("%s %s %d %s\n", probename, args[2]->ip_daddr, args[4]->udp_length, args[3]->udps_laddr);
}' -c "python3 talk.py $host" >talk.tmp || exit 1
	sort talk.tmp
done
rm -f talk.tmp
