/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* A program whose cost is known: it spins for a stated time in getppid. */
#include "kernel.h"

enum { MOST_TURNS = 4096 };

struct spin {
	u32 tgid;
	u32 target; /* ns */
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct spin);
} SPIN SEC(".maps");

struct sys_enter {
	struct pt_regs *regs;
	s64 nr;
};

SEC("raw_tp/sys_enter")
int spin(struct sys_enter *ctx)
{
	u32 zero = 0;
	if (ctx->nr != NR_getppid)
		return 0;
	struct spin *set = bpf_map_lookup_elem(&SPIN, &zero);
	if (!set || set->tgid != bpf_get_current_pid_tgid() >> 32)
		return 0;
	u64 start = bpf_ktime_get_ns();
	for (int i = 0; i < MOST_TURNS; i++)
		if (bpf_ktime_get_ns() - start >= set->target)
			break;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
