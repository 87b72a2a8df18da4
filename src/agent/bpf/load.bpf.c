/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* A load on the ring: every getppid emits a stated number of the agent's own
 * records, 64 bytes each, as fast as the ring takes them. */
#include "agent.h"

enum { MOST_RECORDS = 64 };

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} RECORDS_PER_CALL SEC(".maps");

struct load_record {
	struct header head;
	char path[8];
};

struct sys_enter {
	struct pt_regs *regs;
	s64 nr;
};

SEC("tp_btf/sys_enter")
int load(struct sys_enter *ctx)
{
	u32 zero = 0;
	if (ctx->nr != NR_getppid)
		return 0;
	struct settings *set = settings();
	struct counters *count = counters(KIND_OPEN);
	u32 *records = bpf_map_lookup_elem(&RECORDS_PER_CALL, &zero);
	if (!set || !count || !records || !ours(set))
		return 0;
	/* What the records of one call share, the time among it, is fetched once. */
	struct load_record shared = {.path = "/load/a"};
	fill(&shared.head, set, count, KIND_OPEN, FROM_TASK);
	shared.head.length = sizeof(shared.path);
	for (u32 i = 0; i < MOST_RECORDS && i < *records; i++) {
		count->seen++;
		struct load_record *record = bpf_ringbuf_reserve(&RING, sizeof(*record), 0);
		if (!record) {
			count->failed++;
			continue;
		}
		*record = shared;
		record->head.lost = (u32)count->failed;
		record->path[6] += i & 15;
		bpf_ringbuf_submit(record, wakeup(set));
		count->submitted++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
