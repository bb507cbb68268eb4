/* SPDX-License-Identifier: MIT */
/*
 * What std.c has, for scripts with probes of the kernel: there the structures
 * are filled from the kernel's own, through BTF.  What a kernel has no field
 * for is not there; a member that is defined twice is for two kinds of
 * kernels, the newest first.  Clauses of such a script that
 * run in a process have what a process can know.
 */
#include "d/layout_int.h"

#define IN(kernel, process) "__in_kernel ? " kernel " : " process

#define STATNAME(partition) \
	"	dev_statname = B->bi_bdev == NULL ? \"<none>\" : (" partition ") ?\n" \
	"		strjoin(stringof(B->bi_bdev->bd_disk->disk_name), lltostr(" partition ")) :\n" \
	"		stringof(B->bi_bdev->bd_disk->disk_name);\n"

#define STD_KERNEL \
	"typedef struct timestruc { long tv_sec; long tv_nsec; } timestruc_t;\n" \
	"typedef id_t psetid_t;\n" \
	"typedef id_t chipid_t;\n" \
	"typedef id_t lgrp_id_t;\n" \
	/* processes and threads */ \
	"typedef struct lwpsinfo {\n" \
	"	int pr_flag; int pr_lwpid; uintptr_t pr_addr; uintptr_t pr_wchan; char pr_stype; char pr_state; char pr_sname;\n" \
	"	char pr_nice; short pr_syscall; char pr_oldpri; char pr_cpu; int pr_pri; ushort_t pr_pctcpu; ushort_t pr_pad;\n" \
	"	timestruc_t pr_start; timestruc_t pr_time; char pr_clname[8]; char pr_name[16]; processorid_t pr_onpro;\n" \
	"	processorid_t pr_bindpro; psetid_t pr_bindpset; int pr_lgrp; int pr_filler[4];\n" \
	"} lwpsinfo_t;\n" \
	"typedef struct psinfo {\n" \
	"	int pr_flag; int pr_nlwp; pid_t pr_pid; pid_t pr_ppid; pid_t pr_pgid; pid_t pr_sid; uid_t pr_uid; uid_t pr_euid;\n" \
	"	uid_t pr_gid; uid_t pr_egid; uintptr_t pr_addr; size_t pr_size; size_t pr_rssize; size_t pr_pad1;\n" \
	"	uintptr_t pr_ttydev; ushort_t pr_pctcpu; ushort_t pr_pctmem; timestruc_t pr_start; timestruc_t pr_time;\n" \
	"	timestruc_t pr_ctime; char pr_fname[16]; char pr_psargs[80]; int pr_wstat; int pr_argc; uintptr_t pr_argv;\n" \
	"	uintptr_t pr_envp; char pr_dmodel; char pr_pad2[3]; id_t pr_taskid; id_t pr_projid; int pr_nzomb; id_t pr_poolid;\n" \
	"	id_t pr_zoneid; id_t pr_contract; int pr_filler[1]; lwpsinfo_t pr_lwp;\n" \
	"} psinfo_t;\n" \
	"inline char PR_MODEL_ILP32 = 1;\n" \
	"inline char PR_MODEL_LP64 = 2;\n" \
	"inline int PR_STOPPED = 1;\n" \
	"inline int PR_ISTOP = 2;\n" \
	"inline int PR_DSTOP = 4;\n" \
	"inline int PR_IDLE = 0x10000000;\n" \
	"inline char SSLEEP = 1;\n" \
	"inline char SRUN = 2;\n" \
	"inline char SZOMB = 3;\n" \
	"inline char SSTOP = 4;\n" \
	"inline char SIDL = 5;\n" \
	"inline char SONPROC = 6;\n" \
	"inline char SWAIT = 7;\n" \
	"inline int CLD_EXITED = 1;\n" \
	"inline int CLD_KILLED = 2;\n" \
	"inline int CLD_DUMPED = 3;\n" \
	"inline int CLD_TRAPPED = 4;\n" \
	"inline int CLD_STOPPED = 5;\n" \
	"inline int CLD_CONTINUED = 6;\n" \
	"translator psinfo_t < struct vmlinux`task_struct *T > {\n" \
	"	pr_nlwp = " IN("T->signal->nr_threads", "1") ";\n" \
	"	pr_pid = " IN("T->tgid", "pid") ";\n" \
	"	pr_ppid = " IN("T->real_parent->tgid", "ppid") ";\n" \
	"	pr_pgid = " IN("T->signal->pids[2]->numbers[0].nr", "0") ";\n" \
	"	pr_sid = " IN("T->signal->pids[3]->numbers[0].nr", "0") ";\n" \
	"	pr_uid = " IN("T->cred->uid.val", "uid") ";\n" \
	"	pr_euid = " IN("T->cred->euid.val", "uid") ";\n" \
	"	pr_gid = " IN("T->cred->gid.val", "gid") ";\n" \
	"	pr_egid = " IN("T->cred->egid.val", "gid") ";\n" \
	"	pr_addr = (uintptr_t)T;\n" \
	"	pr_ttydev = " IN("(uintptr_t)T->signal->tty", "0") ";\n" \
	"	pr_fname = " IN("stringof(T->comm)", "execname") ";\n" \
	"	pr_psargs = __psargs;\n" \
	"	pr_wstat = 0;\n" \
	"	pr_dmodel = PR_MODEL_LP64;\n" \
	"	pr_taskid = 0; pr_projid = 0; pr_nzomb = 0; pr_poolid = 0; pr_zoneid = 0; pr_contract = 0;\n" \
	"};\n" \
	"translator lwpsinfo_t < struct vmlinux`task_struct *T > {\n" \
	"	pr_flag = " IN("(T->__state & 4 ? PR_STOPPED : 0)", "0") ";\n" \
	"	pr_lwpid = " IN("T->pid", "tid") ";\n" \
	"	pr_addr = (uintptr_t)T;\n" \
	"	pr_wchan = 0;\n" \
	"	pr_stype = 0;\n" \
	"	pr_state = " IN("(T->__state & 3 ? SSLEEP : T->__state & 12 ? SSTOP : T->__state & 0xb0 ? SZOMB : SRUN)", "SONPROC") ";\n" \
	"	pr_sname = " IN("(T->__state & 3 ? 'S' : T->__state & 12 ? 'T' : T->__state & 0xb0 ? 'Z' : 'R')", "'O'") ";\n" \
	"	pr_pri = " IN("T->prio", "0") ";\n" \
	"	pr_nice = (char)(" IN("T->static_prio - 120", "0") ");\n" \
	"	pr_clname = " IN("(T->policy == 0 ? \"TS\" : T->policy == 1 ? \"FIFO\" : T->policy == 2 ? \"RR\" : " \
			"T->policy == 3 ? \"BATCH\" : T->policy == 5 ? \"IDLE\" : T->policy == 6 ? \"DL\" : \"EXT\")", "\"\"") ";\n" \
	"	pr_name = " IN("stringof(T->comm)", "execname") ";\n" \
	"	pr_onpro = " IN("(int)T->thread_info.cpu", "cpu") ";\n" \
	"	pr_onpro = " IN("(int)T->cpu", "cpu") ";\n" /* before Linux 5.16 */ \
	"};\n" \
	"inline psinfo_t *curpsinfo = xlate <psinfo_t *> ((struct vmlinux`task_struct *)curthread);\n" \
	"inline lwpsinfo_t *curlwpsinfo = xlate <lwpsinfo_t *> ((struct vmlinux`task_struct *)curthread);\n" \
	"typedef struct __cgroupinfo { uint64_t cg_id; } __cgroupinfo_t;\n" \
	"translator __cgroupinfo_t < struct vmlinux`task_struct *T > {\n" \
	"	cg_id = " IN("T->cgroups->dfl_cgrp->kn->id", "0") ";\n" \
	"};\n" \
	"inline uint64_t cgroup = xlate <__cgroupinfo_t *> ((struct vmlinux`task_struct *)curthread)->cg_id;\n" \
	/* processors */ \
	"typedef struct cpuinfo {\n" \
	"	processorid_t cpu_id; psetid_t cpu_pset; chipid_t cpu_chip; lgrp_id_t cpu_lgrp; void *cpu_info;\n" \
	"} cpuinfo_t;\n" \
	"translator cpuinfo_t < processorid_t C > { cpu_id = C; cpu_pset = 0; cpu_chip = 0; cpu_lgrp = 0; };\n" \
	"inline cpuinfo_t *curcpu = xlate <cpuinfo_t *> (cpu);\n" \
	"inline psetid_t pset = 0;\n" \
	"inline chipid_t chip = 0;\n" \
	"inline lgrp_id_t lgrp = 0;\n" \
	/* input and output */ \
	"typedef struct bufinfo {\n" \
	"	int b_flags; size_t b_bcount; caddr_t b_addr; uint64_t b_lblkno; uint64_t b_blkno; size_t b_resid;\n" \
	"	size_t b_bufsize; caddr_t b_iodone; int b_error; dev_t b_edev;\n" \
	"} bufinfo_t;\n" \
	"inline int B_BUSY = 0x1;\n" \
	"inline int B_DONE = 0x2;\n" \
	"inline int B_ERROR = 0x4;\n" \
	"inline int B_PAGEIO = 0x10;\n" \
	"inline int B_PHYS = 0x20;\n" \
	"inline int B_READ = 0x40;\n" \
	"inline int B_WRITE = 0x100;\n" \
	"inline int B_ASYNC = 0x400;\n" \
	"translator bufinfo_t < struct vmlinux`bio *B > {\n" \
	"	b_flags = ((int)B->bi_opf & 1 ? B_WRITE : B_READ) | ((int)B->bi_opf & 0x800 ? 0 : B_ASYNC) | B_PHYS;\n" \
	"	b_addr = 0;\n" \
	"	b_bcount = B->bi_iter.bi_size;\n" \
	"	b_lblkno = B->bi_iter.bi_sector;\n" \
	"	b_blkno = B->bi_iter.bi_sector;\n" \
	"	b_resid = 0;\n" \
	"	b_bufsize = B->bi_iter.bi_size;\n" \
	"	b_iodone = (caddr_t)B->bi_end_io;\n" \
	"	b_error = B->bi_status;\n" \
	"	b_edev = B->bi_bdev == NULL ? 0 : B->bi_bdev->bd_dev;\n" \
	"};\n" \
	"typedef struct devinfo {\n" \
	"	int dev_major; int dev_minor; int dev_instance; string dev_name; string dev_statname; string dev_pathname;\n" \
	"} devinfo_t;\n" \
	"translator devinfo_t < struct vmlinux`bio *B > {\n" \
	"	dev_major = B->bi_bdev == NULL ? 0 : getmajor(B->bi_bdev->bd_dev);\n" \
	"	dev_minor = B->bi_bdev == NULL ? 0 : getminor(B->bi_bdev->bd_dev);\n" \
	"	dev_instance = 0;\n" \
	"	dev_name = B->bi_bdev == NULL ? \"<none>\" : stringof(B->bi_bdev->bd_disk->disk_name);\n" \
	/* Linux 6.10, and before */ \
	STATNAME("B->bi_bdev->__bd_flags.counter & 255") \
	STATNAME("(int)B->bi_bdev->bd_partno") \
	"	dev_pathname = \"<unknown>\";\n" \
	"};\n" \
	/* files */ \
	"typedef struct fileinfo {\n" \
	"	string fi_name; string fi_dirname; string fi_pathname; int64_t fi_offset; string fi_fs; string fi_mount; int fi_oflags;\n" \
	"} fileinfo_t;\n" \
	"inline int O_ACCMODE = 3;\n" \
	"inline int O_RDONLY = 0;\n" \
	"inline int O_WRONLY = 1;\n" \
	"inline int O_RDWR = 2;\n" \
	"inline int O_CREAT = 0x40;\n" \
	"inline int O_EXCL = 0x80;\n" \
	"inline int O_NOCTTY = 0x100;\n" \
	"inline int O_TRUNC = 0x200;\n" \
	"inline int O_APPEND = 0x400;\n" \
	"inline int O_NONBLOCK = 0x800;\n" \
	"inline int O_NDELAY = 0x800;\n" \
	"inline int O_DSYNC = 0x1000;\n" \
	"inline int O_ASYNC = 0x2000;\n" \
	"inline int O_DIRECTORY = 0x10000;\n" \
	"inline int O_NOFOLLOW = 0x20000;\n" \
	"inline int O_CLOEXEC = 0x80000;\n" \
	"inline int O_SYNC = 0x101000;\n" \
	"inline int O_FSYNC = 0x101000;\n" \
	"inline int O_RSYNC = 0x101000;\n" \
	"translator fileinfo_t < struct vmlinux`file *F > {\n" \
	"	fi_name = F == NULL ? \"<none>\" : stringof(F->f_path.dentry->d_name.name);\n" \
	"	fi_dirname = F == NULL ? \"<none>\" : dirname(d_path(&F->f_path));\n" \
	"	fi_pathname = F == NULL ? \"<none>\" : d_path(&F->f_path);\n" \
	"	fi_offset = F == NULL ? 0 : F->f_pos;\n" \
	"	fi_fs = F == NULL ? \"<none>\" : stringof(F->f_path.mnt->mnt_sb->s_type->name);\n" \
	"	fi_mount = F == NULL ? \"<none>\" : __mount_path(&F->f_path);\n" \
	"	fi_oflags = F == NULL ? 0 : F->f_flags;\n" \
	"};\n" \
	"inline string cwd = " IN("d_path(&((struct vmlinux`task_struct *)curthread)->fs->pwd)", "\"<unknown>\"") ";\n" \
	"inline string root = " IN("d_path(&((struct vmlinux`task_struct *)curthread)->fs->root)", "\"<unknown>\"") ";\n" \
	"inline fileinfo_t fds[int fd] = xlate <fileinfo_t> (fd >= 0 &&\n" \
	"	fd < ((struct vmlinux`task_struct *)curthread)->files->fdt->max_fds ?\n" \
	"	((struct vmlinux`task_struct *)curthread)->files->fdt->fd[fd] : NULL);\n"

/* Packets. */
#define STD_NET \
	"typedef struct pktinfo { uintptr_t pkt_addr; } pktinfo_t;\n" \
	"typedef struct csinfo { uintptr_t cs_addr; uint64_t cs_cid; pid_t cs_pid; id_t cs_zoneid; } csinfo_t;\n" \
	"typedef struct ipinfo { uint8_t ip_ver; uint32_t ip_plength; string ip_saddr; string ip_daddr; } ipinfo_t;\n" \
	"typedef struct ifinfo { string if_name; int8_t if_local; uintptr_t if_ipstack; uintptr_t if_addr; } ifinfo_t;\n" \
	"typedef struct ipv4info {\n" \
	"	uint8_t ipv4_ver; uint8_t ipv4_ihl; uint8_t ipv4_tos; uint16_t ipv4_length; uint16_t ipv4_ident;\n" \
	"	uint8_t ipv4_flags; uint16_t ipv4_offset; uint8_t ipv4_ttl; uint8_t ipv4_protocol; string ipv4_protostr;\n" \
	"	uint16_t ipv4_checksum; ipaddr_t ipv4_src; ipaddr_t ipv4_dst; string ipv4_saddr; string ipv4_daddr; uintptr_t ipv4_hdr;\n" \
	"} ipv4info_t;\n" \
	"typedef struct ipv6info {\n" \
	"	uint8_t ipv6_ver; uint8_t ipv6_tclass; uint32_t ipv6_flow; uint16_t ipv6_plen; uint8_t ipv6_nexthdr;\n" \
	"	string ipv6_nextstr; uint8_t ipv6_hlim; uintptr_t ipv6_src; uintptr_t ipv6_dst; string ipv6_saddr; string ipv6_daddr;\n" \
	"	uintptr_t ipv6_hdr;\n" \
	"} ipv6info_t;\n" \
	"inline int IPPROTO_ICMP = 1;\n" \
	"inline int IPPROTO_TCP = 6;\n" \
	"inline int IPPROTO_UDP = 17;\n" \
	"inline int IPPROTO_ICMPV6 = 58;\n" \
	"translator pktinfo_t < struct vmlinux`sk_buff *S > { pkt_addr = (uintptr_t)S; };\n" \
	"translator csinfo_t < struct vmlinux`sock *S > { cs_addr = (uintptr_t)S; cs_cid = (uint64_t)S; cs_pid = -1; cs_zoneid = 0; };\n" \
	"translator ipinfo_t < struct vmlinux`iphdr *I > {\n" \
	"	ip_ver = I->version;\n" \
	"	ip_plength = I->version == 4 ? (uint32_t)(ntohs(I->tot_len) - 4 * I->ihl) :\n" \
	"		(uint32_t)ntohs(((struct vmlinux`ipv6hdr *)I)->payload_len);\n" \
	"	ip_saddr = I->version == 4 ? inet_ntoa((ipaddr_t *)&I->saddr) :\n" \
	"		inet_ntoa6((struct in6_addr *)&((struct vmlinux`ipv6hdr *)I)->saddr);\n" \
	"	ip_daddr = I->version == 4 ? inet_ntoa((ipaddr_t *)&I->daddr) :\n" \
	"		inet_ntoa6((struct in6_addr *)&((struct vmlinux`ipv6hdr *)I)->daddr);\n" \
	"};\n" \
	"translator ifinfo_t < struct vmlinux`net_device *N > {\n" \
	"	if_name = N == NULL ? \"<null>\" : stringof(N->name);\n" \
	"	if_local = N == NULL ? 0 : (N->flags & 8) != 0;\n" \
	"	if_ipstack = 0;\n" \
	"	if_addr = (uintptr_t)N;\n" \
	"};\n" \
	"translator ipv4info_t < struct vmlinux`iphdr *I > {\n" \
	"	ipv4_ver = I == NULL ? 0 : I->version;\n" \
	"	ipv4_ihl = I == NULL ? 0 : 4 * I->ihl;\n" \
	"	ipv4_tos = I == NULL ? 0 : I->tos;\n" \
	"	ipv4_length = I == NULL ? 0 : ntohs(I->tot_len);\n" \
	"	ipv4_ident = I == NULL ? 0 : ntohs(I->id);\n" \
	"	ipv4_flags = I == NULL ? 0 : ntohs(I->frag_off) >> 8 & 0xe0;\n" \
	"	ipv4_offset = I == NULL ? 0 : ntohs(I->frag_off) & 0x1fff;\n" \
	"	ipv4_ttl = I == NULL ? 0 : I->ttl;\n" \
	"	ipv4_protocol = I == NULL ? 0 : I->protocol;\n" \
	"	ipv4_protostr = I == NULL ? \"<null>\" : I->protocol == 1 ? \"ICMP\" : I->protocol == 2 ? \"IGMP\" : I->protocol == 6 ? \"TCP\" :\n" \
	"		I->protocol == 17 ? \"UDP\" : lltostr((int64_t)I->protocol);\n" \
	"	ipv4_checksum = I == NULL ? 0 : ntohs(I->check);\n" \
	"	ipv4_src = I == NULL ? 0 : (ipaddr_t)ntohl(I->saddr);\n" \
	"	ipv4_dst = I == NULL ? 0 : (ipaddr_t)ntohl(I->daddr);\n" \
	"	ipv4_saddr = I == NULL ? \"<null>\" : inet_ntoa((ipaddr_t *)&I->saddr);\n" \
	"	ipv4_daddr = I == NULL ? \"<null>\" : inet_ntoa((ipaddr_t *)&I->daddr);\n" \
	"	ipv4_hdr = (uintptr_t)I;\n" \
	"};\n" \
	"translator ipv6info_t < struct vmlinux`ipv6hdr *I > {\n" \
	"	ipv6_ver = I == NULL ? 0 : I->version;\n" \
	"	ipv6_tclass = I == NULL ? 0 : I->priority << 4 | I->flow_lbl[0] >> 4;\n" \
	"	ipv6_flow = I == NULL ? 0 : (uint32_t)((I->flow_lbl[0] & 15) << 16 | I->flow_lbl[1] << 8 | I->flow_lbl[2]);\n" \
	"	ipv6_plen = I == NULL ? 0 : ntohs(I->payload_len);\n" \
	"	ipv6_nexthdr = I == NULL ? 0 : I->nexthdr;\n" \
	"	ipv6_nextstr = I == NULL ? \"<null>\" : I->nexthdr == 58 ? \"ICMPV6\" : I->nexthdr == 6 ? \"TCP\" : I->nexthdr == 17 ? \"UDP\" :\n" \
	"		lltostr((int64_t)I->nexthdr);\n" \
	"	ipv6_hlim = I == NULL ? 0 : I->hop_limit;\n" \
	"	ipv6_src = (uintptr_t)&I->saddr;\n" \
	"	ipv6_dst = (uintptr_t)&I->daddr;\n" \
	"	ipv6_saddr = I == NULL ? \"<null>\" : inet_ntoa6((struct in6_addr *)&I->saddr);\n" \
	"	ipv6_daddr = I == NULL ? \"<null>\" : inet_ntoa6((struct in6_addr *)&I->daddr);\n" \
	"	ipv6_hdr = (uintptr_t)I;\n" \
	"};\n"

/* Sockets.  arg7: whether the packet comes in, or would. */
#define SOCK(s) "((struct vmlinux`sock_common *)" s ")->"
#define TEXT4(a) "inet_ntoa((ipaddr_t *)&" a ")"
#define TEXT6(a) "inet_ntoa6((struct in6_addr *)&" a ")"
#define OWN(s) "(" SOCK(s) "skc_family == 2 ? " TEXT4(SOCK(s) "skc_rcv_saddr") " : " TEXT6(SOCK(s) "skc_v6_rcv_saddr") ")"
#define OWN_PORT(s) "(((struct vmlinux`inet_sock *)" s ")->inet_sport ? ntohs(((struct vmlinux`inet_sock *)" s ")->inet_sport) : " \
	SOCK(s) "skc_num)"
#define PEER(s) "(" SOCK(s) "skc_family == 2 ? " TEXT4(SOCK(s) "skc_daddr") " : " TEXT6(SOCK(s) "skc_v6_daddr") ")"
#define HDR(end) "(((struct vmlinux`iphdr *)arg2)->version == 4 ? " TEXT4("((struct vmlinux`iphdr *)arg2)->" end) " : " \
	TEXT6("((struct vmlinux`ipv6hdr *)arg2)->" end) ")"
#define PORT(end) "ntohs(((struct vmlinux`udphdr *)arg4)->" end ")"
#define STD_TRANSPORT \
	"inline int TH_FIN = 0x01;\n" \
	"inline int TH_SYN = 0x02;\n" \
	"inline int TH_RST = 0x04;\n" \
	"inline int TH_PSH = 0x08;\n" \
	"inline int TH_ACK = 0x10;\n" \
	"inline int TH_URG = 0x20;\n" \
	"inline int TH_ECE = 0x40;\n" \
	"inline int TH_CWR = 0x80;\n" \
	"inline int TCP_STATE_IDLE = 0;\n" \
	"inline int TCP_STATE_ESTABLISHED = 1;\n" \
	"inline int TCP_STATE_SYN_SENT = 2;\n" \
	"inline int TCP_STATE_SYN_RECEIVED = 3;\n" \
	"inline int TCP_STATE_FIN_WAIT_1 = 4;\n" \
	"inline int TCP_STATE_FIN_WAIT_2 = 5;\n" \
	"inline int TCP_STATE_TIME_WAIT = 6;\n" \
	"inline int TCP_STATE_CLOSED = 7;\n" \
	"inline int TCP_STATE_CLOSE_WAIT = 8;\n" \
	"inline int TCP_STATE_LAST_ACK = 9;\n" \
	"inline int TCP_STATE_LISTEN = 10;\n" \
	"inline int TCP_STATE_CLOSING = 11;\n" \
	"inline string tcp_state_string[int s] =\n" \
	"	s == 0 ? \"state-idle\" : s == 1 ? \"state-established\" : s == 2 ? \"state-syn-sent\" : s == 3 ? \"state-syn-received\" :\n" \
	"	s == 4 ? \"state-fin-wait-1\" : s == 5 ? \"state-fin-wait-2\" : s == 6 ? \"state-time-wait\" : s == 7 ? \"state-closed\" :\n" \
	"	s == 8 ? \"state-close-wait\" : s == 9 ? \"state-last-ack\" : s == 10 ? \"state-listen\" : s == 11 ? \"state-closing\" :\n" \
	"	\"<unknown>\";\n" \
	"typedef struct tcpinfo {\n" \
	"	uint16_t tcp_sport; uint16_t tcp_dport; uint32_t tcp_seq; uint32_t tcp_ack; uint8_t tcp_offset; uint8_t tcp_flags;\n" \
	"	uint16_t tcp_window; uint16_t tcp_checksum; uint16_t tcp_urgent; uintptr_t tcp_hdr;\n" \
	"} tcpinfo_t;\n" \
	"typedef struct tcpsinfo {\n" \
	"	uintptr_t tcps_addr; int tcps_local; uint16_t tcps_lport; uint16_t tcps_rport; string tcps_laddr; string tcps_raddr;\n" \
	"	int tcps_state; uint32_t tcps_iss; uint32_t tcps_suna; uint32_t tcps_snxt; uint32_t tcps_rnxt; uint32_t tcps_swnd;\n" \
	"	int32_t tcps_snd_ws; uint32_t tcps_rwnd; int32_t tcps_rcv_ws; uint32_t tcps_cwnd; uint32_t tcps_cwnd_ssthresh;\n" \
	"	uint32_t tcps_sack_snxt; uint32_t tcps_rto; uint32_t tcps_mss; int tcps_retransmit; uint32_t tcps_rtt;\n" \
	"	uint32_t tcps_rtt_sd; uint32_t tcps_irs;\n" \
	"} tcpsinfo_t;\n" \
	"typedef struct tcplsinfo { int tcps_state; } tcplsinfo_t;\n" \
	"translator tcplsinfo_t < int S > { tcps_state = S; };\n" \
	/* tcp: the header, or the socket where there is no packet */ \
	"translator ipinfo_t < struct vmlinux`inet_sock *S > {\n" \
	"	ip_ver = arg0 ? ((struct vmlinux`iphdr *)S)->version : " SOCK("S") "skc_family == 2 ? 4 : 6;\n" \
	"	ip_plength = !arg0 ? 0 : ((struct vmlinux`iphdr *)S)->version == 4 ?\n" \
	"		(uint32_t)(ntohs(((struct vmlinux`iphdr *)S)->tot_len) - 4 * ((struct vmlinux`iphdr *)S)->ihl) :\n" \
	"		(uint32_t)ntohs(((struct vmlinux`ipv6hdr *)S)->payload_len);\n" \
	"	ip_saddr = arg0 ? " HDR("saddr") " : " PEER("S") ";\n" \
	"	ip_daddr = arg0 ? " HDR("daddr") " : " OWN("S") ";\n" \
	"};\n" \
	"translator tcpinfo_t < struct vmlinux`tcphdr *T > {\n" \
	"	tcp_sport = ntohs(arg0 ? T->source : " SOCK("T") "skc_dport);\n" \
	"	tcp_dport = arg0 ? ntohs(T->dest) : " OWN_PORT("T") ";\n" \
	"	tcp_seq = arg0 ? ntohl(T->seq) : 0;\n" \
	"	tcp_ack = arg0 ? ntohl(T->ack_seq) : 0;\n" \
	"	tcp_offset = arg0 ? 4 * T->doff : 0;\n" \
	"	tcp_flags = arg0 ? ((uint8_t *)T)[13] : 0;\n" \
	"	tcp_window = arg0 ? ntohs(T->window) : 0;\n" \
	"	tcp_checksum = arg0 ? ntohs(T->check) : 0;\n" \
	"	tcp_urgent = arg0 ? ntohs(T->urg_ptr) : 0;\n" \
	"	tcp_hdr = arg0 ? (uintptr_t)T : 0;\n" \
	"};\n" \
	"translator tcpsinfo_t < struct vmlinux`tcp_sock *T > {\n" \
	"	tcps_addr = (uintptr_t)T;\n" \
	"	tcps_local = T == NULL ? 0 : " SOCK("T") "skc_family == 2 ? " SOCK("T") "skc_rcv_saddr == " SOCK("T") "skc_daddr :\n" \
	"		" OWN("T") " == " PEER("T") ";\n" \
	"	tcps_lport = T != NULL ? " OWN_PORT("T") " : arg7 ? " PORT("dest") " : " PORT("source") ";\n" \
	"	tcps_rport = T != NULL ? ntohs(" SOCK("T") "skc_dport) : arg7 ? " PORT("source") " : " PORT("dest") ";\n" \
	"	tcps_laddr = T != NULL ? " OWN("T") " : arg7 ? " HDR("daddr") " : " HDR("saddr") ";\n" \
	"	tcps_raddr = T != NULL ? " PEER("T") " : arg7 ? " HDR("saddr") " : " HDR("daddr") ";\n" \
	"	tcps_state = (int)arg6;\n" \
	"	tcps_iss = T == NULL ? 0 : T->snd_una - (uint32_t)T->bytes_acked;\n" \
	"	tcps_suna = T == NULL ? 0 : T->snd_una;\n" \
	"	tcps_snxt = T == NULL ? 0 : T->snd_nxt;\n" \
	"	tcps_rnxt = T == NULL ? 0 : T->rcv_nxt;\n" \
	"	tcps_swnd = T == NULL ? 0 : T->snd_wnd;\n" \
	"	tcps_snd_ws = T == NULL ? 0 : T->rx_opt.snd_wscale;\n" \
	"	tcps_rwnd = T == NULL ? 0 : T->rcv_wnd;\n" \
	"	tcps_rcv_ws = T == NULL ? 0 : T->rx_opt.rcv_wscale;\n" \
	"	tcps_cwnd = T == NULL ? 0 : T->snd_cwnd;\n" \
	"	tcps_cwnd_ssthresh = T == NULL ? 0 : T->snd_ssthresh;\n" \
	"	tcps_sack_snxt = T == NULL ? 0 : T->sacked_out == 0 ? T->snd_una : T->snd_nxt;\n" \
	"	tcps_rto = T == NULL ? 0 : T->inet_conn.icsk_rto;\n" \
	"	tcps_mss = T == NULL ? 0 : T->mss_cache;\n" \
	"	tcps_retransmit = T != NULL && arg0 && !arg7 ?\n" \
	"		(int)(ntohl(((struct vmlinux`tcphdr *)arg4)->seq) - T->snd_nxt) < 0 : 0;\n" \
	"	tcps_rtt = T == NULL ? 0 : (T->srtt_us >> 3) / 1000;\n" \
	"	tcps_rtt_sd = T == NULL ? 0 : (T->mdev_us >> 2) / 1000;\n" \
	"	tcps_irs = T == NULL || !T->bytes_received ? 0 : T->rcv_nxt - (uint32_t)T->bytes_received;\n" \
	"};\n" \
	"typedef struct udpinfo {\n" \
	"	uint16_t udp_sport; uint16_t udp_dport; uint16_t udp_length; uint16_t udp_checksum; struct vmlinux`udphdr *udp_hdr;\n" \
	"} udpinfo_t;\n" \
	"typedef struct udpsinfo {\n" \
	"	uintptr_t udps_addr; uint16_t udps_lport; uint16_t udps_rport; string udps_laddr; string udps_raddr;\n" \
	"} udpsinfo_t;\n" \
	"translator udpinfo_t < struct vmlinux`udphdr *U > {\n" \
	"	udp_sport = ntohs(U->source);\n" \
	"	udp_dport = ntohs(U->dest);\n" \
	"	udp_length = ntohs(U->len);\n" \
	"	udp_checksum = ntohs(U->check);\n" \
	"	udp_hdr = U;\n" \
	"};\n" \
	"translator udpsinfo_t < struct vmlinux`udp_sock *S > {\n" \
	"	udps_addr = (uintptr_t)S;\n" \
	"	udps_lport = arg7 ? " PORT("dest") " : " PORT("source") ";\n" \
	"	udps_rport = arg7 ? " PORT("source") " : " PORT("dest") ";\n" \
	"	udps_laddr = arg7 ? " HDR("daddr") " : " HDR("saddr") ";\n" \
	"	udps_raddr = arg7 ? " HDR("saddr") " : " HDR("daddr") ";\n" \
	"};\n"

const char d_std_kernel[] = STD_KERNEL;
const char d_std_kernel_net[] = STD_KERNEL STD_NET STD_TRANSPORT;
