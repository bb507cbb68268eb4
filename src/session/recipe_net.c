/* SPDX-License-Identifier: MIT */
/* Packets, connections: what ip, tcp and udp give. */
#include "session/recipe_int.h"

#include <errno.h>

static void no_args(struct make *m)
{
	for (uint32_t i = 0; i < RECIPE_ARGS; i++)
		m->val[i] = make_zero(m);
}

/* Where a device hands a packet up, its header is what comes first; the offset is set later. */
static void packet(struct make *m, bool sent)
{
	uint32_t skb = make_arg(m, 0), low = make_const(m, 0xffff);
	uint32_t proto = make_op(m, IR_OP_AND, make_member(m, skb, "sk_buff", "protocol", 2), low);
	uint32_t is4 = make_op(m, IR_OP_SEQ, proto, make_const(m, 0x0008)), is6 = make_op(m, IR_OP_SEQ, proto, make_const(m, 0xdd86));
	make_only_if(m, make_op(m, IR_OP_OR, is4, is6));
	uint32_t at = sent ? make_op(m, IR_OP_ADD, make_member(m, skb, "sk_buff", "head", 8),
				 make_op(m, IR_OP_AND, make_member(m, skb, "sk_buff", "network_header", 2), low)) :
		make_member(m, skb, "sk_buff", "data", 8);
	m->val[1] = make_member(m, skb, "sk_buff", "sk", 8);
	m->val[2] = at;
	m->val[3] = make_member(m, skb, "sk_buff", "dev", 8);
	m->val[4] = make_op(m, IR_OP_MUL, at, is4);
	m->val[5] = make_op(m, IR_OP_MUL, at, is6);
}

#define TCP_PROTO 6
#define UDP_PROTO 17
/* Offsets in headers (RFC 791, 8200, 9293); states are Linux's, which are DTrace's as well. */
enum { IP4_PROTO = 9, IP6_NEXT = 6, IP6_BYTES = 40, TCP_SEQ = 4, TCP_FLAGS = 13 };
enum { TH_SYN = 2, TH_RST = 4, TH_ACK = 16 };
enum { ESTABLISHED = 1, SYN_SENT, SYN_RECEIVED, FIN_WAIT_2 = 5, TIME_WAIT, CLOSED, CLOSING = 11, NEW_SYN_RECEIVED };

static void only_proto(struct make *m, uint32_t ip, uint32_t is4, int64_t proto)
{
	uint32_t other = make_op(m, IR_OP_XOR, is4, make_const(m, 1));
	uint32_t at = make_op(m, IR_OP_ADD, make_op(m, IR_OP_MUL, is4, make_const(m, IP4_PROTO)), make_op(m, IR_OP_MUL, other, make_const(m, IP6_NEXT)));
	make_only_if(m, make_is(m, make_bytes(m, make_op(m, IR_OP_ADD, ip, at), 0, 1), proto));
}

/* arg3: the socket, if it is a whole one; arg6: its state.  Those that are being made or have ended are stumps; one
 * without a peer sends in the name of others. */
static void whole_socket(struct make *m)
{
	uint32_t sk = m->val[1], whole = m->vreg++, state = m->vreg++;
	make_put(m, IR_OP_MOV, whole, make_zero(m), WIRE_NONE, 0);
	make_put(m, IR_OP_MOV, state, m->zero, WIRE_NONE, 0);
	uint32_t none = make_put(m, IR_OP_BRZ, WIRE_NONE, sk, WIRE_NONE, 0);
	uint32_t is_now = make_member(m, sk, "sock_common", "skc_state", 1);
	uint32_t made = make_is(m, is_now, NEW_SYN_RECEIVED), peerless = make_is(m, make_member(m, sk, "sock_common", "skc_dport", 2), 0);
	uint32_t stump = make_op(m, IR_OP_OR, peerless, make_op(m, IR_OP_OR, make_is(m, is_now, TIME_WAIT), made));
	make_put(m, IR_OP_MOV, whole, make_op(m, IR_OP_MUL, sk, make_op(m, IR_OP_XOR, stump, make_const(m, 1))), WIRE_NONE, 0);
	make_put(m, IR_OP_SUB, state, is_now, make_op(m, IR_OP_MUL, made, make_const(m, NEW_SYN_RECEIVED - SYN_RECEIVED)), 0);
	m->v[none].imm = m->cnt;
	m->val[3] = whole;
	m->val[6] = state;
}

/* arg0 packet, arg1 socket, arg2 IP header, arg3 and arg6 as above, arg4 transport's header, arg7 whether it comes in. */
static void segment(struct make *m, bool sent, int64_t proto)
{
	packet(m, sent);
	uint32_t ip = m->val[2], first = make_bytes(m, ip, 0, 1);
	uint32_t is4 = make_is(m, make_op(m, IR_OP_SHR, first, make_const(m, 4)), 4);
	only_proto(m, ip, is4, proto);
	uint32_t len4 = make_op(m, IR_OP_MUL, make_op(m, IR_OP_AND, first, make_const(m, 15)), make_const(m, 4));
	uint32_t more = make_op(m, IR_OP_MUL, is4, make_op(m, IR_OP_SUB, len4, make_const(m, IP6_BYTES)));
	whole_socket(m);
	m->val[4] = make_op(m, IR_OP_ADD, ip, make_op(m, IR_OP_ADD, more, make_const(m, IP6_BYTES)));
	m->val[5] = make_zero(m);
	m->val[7] = make_const(m, !sent);
}

/* A segment with these of the flags @of. */
static void only_flags(struct make *m, int64_t of, int64_t flags)
{
	make_only_if(m, make_is(m, make_op(m, IR_OP_AND, make_bytes(m, m->val[4], TCP_FLAGS, 1), make_const(m, of)), flags));
}

/* A segment that answers no ACK has number 0: the reset of a connection that nobody waits for. */
static void refusal(struct make *m)
{
	segment(m, true, TCP_PROTO);
	only_flags(m, TH_RST | TH_ACK, TH_RST | TH_ACK);
	make_only_if(m, make_is(m, make_bytes(m, m->val[4], TCP_SEQ, 4), 0));
}

/* arg0 socket, arg1 old and arg2 new state.  There is no packet: its addresses are the socket's. */
static void transition(struct make *m)
{
	uint32_t sk = make_arg(m, 0), old = make_arg(m, 1), new = make_arg(m, 2);
	make_only_if(m, make_is(m, make_member(m, sk, "sock", "sk_protocol", 2), TCP_PROTO));
	m->val[0] = make_zero(m);
	m->val[1] = m->val[2] = m->val[3] = m->val[4] = sk;
	m->val[5] = old;
	m->val[6] = new;
	m->val[7] = make_const(m, 1);
}

/* What waits is not the socket any more, which closes without an error. */
static void any_transition(struct make *m)
{
	uint32_t sk = make_arg(m, 0), old = make_arg(m, 1), new = make_arg(m, 2);
	transition(m);
	uint32_t last = make_op(m, IR_OP_OR, make_is(m, old, FIN_WAIT_2), make_is(m, old, CLOSING));
	uint32_t ends = make_op(m, IR_OP_AND, last, make_is(m, new, CLOSED));
	uint32_t waits = make_op(m, IR_OP_AND, ends, make_is(m, make_member(m, sk, "sock", "sk_err", 4), 0));
	m->val[6] = make_op(m, IR_OP_SUB, new, make_op(m, IR_OP_MUL, waits, make_const(m, CLOSED - TIME_WAIT)));
}

static void one_transition(struct make *m, int64_t from, int64_t to)
{
	transition(m);
	make_only_if(m, make_is(m, m->val[5], from));
	make_only_if(m, make_is(m, m->val[6], to));
}

void recipe_net(struct make *m, enum probe_kern_recipe recipe)
{
	switch (recipe) {
	case PROBE_KERN_SENT:
	case PROBE_KERN_RECEIVED:
		packet(m, recipe == PROBE_KERN_SENT);
		break;
	case PROBE_KERN_NONE_LEFT:
		no_args(m);
		break;
	case PROBE_KERN_TCP_SENT:
	case PROBE_KERN_TCP_RECEIVED:
		segment(m, recipe == PROBE_KERN_TCP_SENT, TCP_PROTO);
		break;
	case PROBE_KERN_UDP_SENT:
	case PROBE_KERN_UDP_RECEIVED:
		segment(m, recipe == PROBE_KERN_UDP_SENT, UDP_PROTO);
		break;
	case PROBE_KERN_TCP_STATE:
		any_transition(m);
		break;
	case PROBE_KERN_TCP_CONNECTS:
		segment(m, true, TCP_PROTO);
		only_flags(m, TH_SYN | TH_ACK, TH_SYN);
		break;
	case PROBE_KERN_TCP_CONNECTED:
		one_transition(m, SYN_SENT, ESTABLISHED);
		break;
	case PROBE_KERN_TCP_ACCEPTED:
		one_transition(m, SYN_RECEIVED, ESTABLISHED);
		break;
	case PROBE_KERN_TCP_REFUSED:
		one_transition(m, SYN_SENT, CLOSED);
		make_only_if(m, make_is(m, make_member(m, m->val[1], "sock", "sk_err", 4), ECONNREFUSED));
		break;
	case PROBE_KERN_TCP_REFUSES:
		refusal(m);
		break;
	default:
		break;
	}
}
