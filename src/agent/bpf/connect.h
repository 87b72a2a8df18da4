/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* Connecting a socket, IPv4 and IPv6. */
#pragma once
#include "agent.h"

struct connect4_record {
	struct header head;
	struct sockaddr_in4 to;
};

struct connect6_record {
	struct header head;
	struct sockaddr_in6 to;
};

#define EMIT_CONNECT(record_type, identity, address)                                             \
	({                                                                                       \
		struct record_type *record = bpf_ringbuf_reserve(&RING, sizeof(*record), 0);     \
		if (!record) {                                                                   \
			count->failed++;                                                         \
		} else {                                                                         \
			fill(&record->head, set, count, KIND_CONNECT, identity);                 \
			record->to = address;                                                    \
			record->head.length = sizeof(record->to);                                \
			bpf_ringbuf_submit(record, wakeup(set));                                 \
			count->submitted++;                                                      \
		}                                                                                \
	})

SEC("cgroup/connect4")
int connect_cgroup4(struct bpf_sock_addr *ctx)
{
	struct settings *set = settings();
	struct counters *count = counters(KIND_CONNECT);
	if (set && count && set->on && wanted(set, count)) {
		struct sockaddr_in4 to = {AF_INET, ctx->user_port, ctx->user_ip4};
		EMIT_CONNECT(connect4_record, FROM_HELPERS, to);
	}
	return 1; /* always allowed */
}

SEC("cgroup/connect6")
int connect_cgroup6(struct bpf_sock_addr *ctx)
{
	struct settings *set = settings();
	struct counters *count = counters(KIND_CONNECT);
	if (set && count && set->on && wanted(set, count)) {
		struct sockaddr_in6 to = {AF_INET6, ctx->user_port, 0,
					  {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
					   ctx->user_ip6[3]}};
		EMIT_CONNECT(connect6_record, FROM_HELPERS, to);
	}
	return 1;
}

SEC("lsm/socket_connect")
int connect_lsm(u64 *ctx)
{
	const void *address = (const void *)ctx[1];
	struct settings *set = settings();
	struct counters *count = counters(KIND_CONNECT);
	if (!set || !count || !set->on)
		return 0;
	u16 family = 0;
	bpf_probe_read_kernel(&family, sizeof(family), address);
	if (family == AF_INET) {
		struct sockaddr_in4 to4;
		if (!wanted(set, count))
			return 0;
		bpf_probe_read_kernel(&to4, sizeof(to4), address);
		EMIT_CONNECT(connect4_record, FROM_TASK, to4);
	} else if (family == AF_INET6) {
		struct sockaddr_in6 to6;
		if (!wanted(set, count))
			return 0;
		bpf_probe_read_kernel(&to6, sizeof(to6), address);
		EMIT_CONNECT(connect6_record, FROM_TASK, to6);
	}
	return 0;
}
