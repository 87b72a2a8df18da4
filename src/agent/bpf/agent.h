/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* What every hook shares: settings, policy, counters, the ring and its records. */
#pragma once
#include "kernel.h"

/* Record kinds, also the index of a hook's counters. */
enum kind { KIND_OPEN = 0, KIND_CONNECT = 1, KIND_EXEC = 2, KINDS = 3 };

enum field { FIELD_TIME = 1, FIELD_COMM = 2, FIELD_CGROUP = 4, FIELD_TARGET = 8 };

enum record_flag { TARGET_UNREADABLE = 1, TARGET_CUT = 2, TARGET_HAS_FILE = 4 };

#define RECORD_VERSION 1

/* src/agent/record.rs reads this layout. */
struct header {
	u8 version;
	u8 kind;
	u16 cpu;
	u16 flags;
	u16 length; /* bytes of the target (file and path, or address) behind the header */
	u64 time;   /* ns, CLOCK_MONOTONIC */
	u64 cgroup;
	u32 pid;
	u32 tid;
	u32 uid;
	u32 lost; /* records this CPU had lost before this one, modulo 2^32 */
	char comm[16];
};

/* src/agent/settings.rs writes this layout. */
struct settings {
	u32 on;
	u32 match_all;
	u32 tgid;          /* 0: any process */
	u32 excluded_tid;  /* the agent's own consumer */
	u64 cgroup;        /* 0: any cgroup */
	u64 cgroup_levels; /* a bit for each level at which a listed cgroup lies; 0: no list */
	u32 cgroup_level;
	u32 path_rules;    /* how many there are */
	u32 inode_rules;
	u32 sample;        /* every n-th matching call; 0 and 1: all */
	u32 fields;
	u32 wakeup_bytes;  /* 0: never wake; 1: as the kernel likes; else from so many bytes on */
};

struct counters {
	u64 foreign; /* calls of others */
	u64 seen;    /* calls of ours = filtered + submitted + failed */
	u64 filtered;
	u64 submitted;
	u64 failed;
	u64 matched; /* for sampling */
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} SETTINGS SEC(".maps");

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, u32);
	__type(value, struct counters);
} COUNTERS SEC(".maps");

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 1 << 20);
} RING SEC(".maps");

#define RULE_PATH_WORDS 32

struct rule_path {
	u64 words[RULE_PATH_WORDS]; /* padded with zeros */
};

struct rule_inode {
	u64 inode;
	u64 device;
};

/* From the hash of a path to the path itself. */
struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct rule_path);
} PATH_RULES SEC(".maps");

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 4096);
	__type(key, struct rule_inode);
	__type(value, u32);
} INODE_RULES SEC(".maps");

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct rule_path);
} SCRATCH SEC(".maps");

/* The cgroups of an allow-list. */
struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} CGROUPS SEC(".maps");

INLINE struct settings *settings(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&SETTINGS, &zero);
}

INLINE struct counters *counters(u32 kind)
{
	return bpf_map_lookup_elem(&COUNTERS, &kind);
}

enum { LEVELS = 64 };

/* Whether a listed cgroup holds the caller's. */
INLINE int listed(u64 levels)
{
	for (int level = 0; level < LEVELS; level++) {
		if (!(levels >> level & 1))
			continue;
		u64 cgroup = bpf_get_current_ancestor_cgroup_id(level);
		if (bpf_map_lookup_elem(&CGROUPS, &cgroup))
			return 1;
	}
	return 0;
}

/* Is it ours? */
INLINE int ours(const struct settings *set)
{
	u64 ids = bpf_get_current_pid_tgid();
	if (set->tgid && set->tgid != ids >> 32)
		return 0;
	if (set->excluded_tid == (u32)ids)
		return 0;
	if (set->cgroup && bpf_get_current_ancestor_cgroup_id(set->cgroup_level) != set->cgroup)
		return 0;
	if (set->cgroup_levels && !listed(set->cgroup_levels))
		return 0;
	return 1;
}

INLINE int sampled(const struct settings *set, struct counters *count)
{
	return set->sample < 2 || count->matched++ % set->sample == 0;
}

/* Which calls come through: all but others' and those that the policy leaves out. */
INLINE int wanted(const struct settings *set, struct counters *count)
{
	if (!ours(set)) {
		count->foreign++;
		return 0;
	}
	count->seen++;
	if (!set->match_all || !sampled(set, count)) {
		count->filtered++;
		return 0;
	}
	return 1;
}

INLINE u64 wakeup(const struct settings *set)
{
	if (set->wakeup_bytes == 0)
		return RB_NO_WAKEUP;
	if (set->wakeup_bytes == 1)
		return 0;
	return bpf_ringbuf_query(&RING, RB_AVAIL_DATA) >= set->wakeup_bytes ? RB_FORCE_WAKEUP
									    : RB_NO_WAKEUP;
}

/* Whether a word of a string holds its end (Hacker's Delight, 6-1). */
INLINE int ends_in(u64 word)
{
	return ((word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL) != 0;
}

/* Who made the call: from the task itself where the kernel describes its own
 * types, which costs a few loads in place of four helper calls. */
INLINE void identify_task(struct header *head, u32 fields)
{
	struct task_struct *task = bpf_get_current_task_btf();
	head->pid = task->tgid;
	head->tid = task->pid;
	head->uid = task->cred->uid.val;
	if (fields & FIELD_COMM) {
		((u64 *)head->comm)[0] = ((u64 *)task->comm)[0];
		((u64 *)head->comm)[1] = ((u64 *)task->comm)[1];
	} else {
		((u64 *)head->comm)[0] = 0;
		((u64 *)head->comm)[1] = 0;
	}
	head->cgroup = fields & FIELD_CGROUP ? task->cgroups->dfl_cgrp->kn->id : 0;
}

INLINE void identify_helpers(struct header *head, u32 fields)
{
	u64 ids = bpf_get_current_pid_tgid();
	head->pid = ids >> 32;
	head->tid = (u32)ids;
	head->uid = (u32)bpf_get_current_uid_gid();
	((u64 *)head->comm)[0] = 0;
	((u64 *)head->comm)[1] = 0;
	if (fields & FIELD_COMM)
		bpf_get_current_comm(head->comm, sizeof(head->comm));
	head->cgroup = fields & FIELD_CGROUP ? bpf_get_current_cgroup_id() : 0;
}

enum identity { FROM_TASK, FROM_HELPERS };

INLINE void fill(struct header *head, const struct settings *set, const struct counters *count,
		 u32 kind, enum identity identity)
{
	head->version = RECORD_VERSION;
	head->kind = kind;
	head->cpu = bpf_get_smp_processor_id();
	head->flags = 0;
	head->length = 0;
	head->lost = (u32)count->failed;
	head->time = set->fields & FIELD_TIME ? bpf_ktime_get_ns() : 0;
	if (identity == FROM_TASK)
		identify_task(head, set->fields);
	else
		identify_helpers(head, set->fields);
}
