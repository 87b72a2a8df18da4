/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* Which processes are watched: those that were named, and all that descend from
 * them. A child is known before it runs its first instruction, and forgotten
 * when its last thread exits. */
#pragma once
#include "kernel.h"

#define MOST_PROCESSES 16384

/* What is known of a process. */
enum state {
	WAITING = 1,  /* watched from its next execve on */
	WATCHED = 2,
	NAMED = 3,    /* watched, and in the table by name: not among those counted */
};

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, MOST_PROCESSES);
	__type(key, u32); /* tgid */
	__type(value, u32);
} PROCESSES SEC(".maps");

/* src/agent/family.rs writes this layout. */
struct orders {
	u64 token;    /* the argument by which getppid says: watch me from my next execve on */
	u64 limit;    /* of processes at once; where there are more, all are stopped */
	u64 stopping; /* every watched process is killed at its next system call */
};

/* src/agent/family.rs reads this layout. */
struct family {
	u64 alive;     /* none of those named */
	u64 born;
	u64 unwatched; /* children that the table had no room for */
	u64 crowded;   /* whether the limit was passed */
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct orders);
} ORDERS SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct family);
} FAMILY SEC(".maps");

INLINE struct orders *orders(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&ORDERS, &zero);
}

INLINE struct family *family(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&FAMILY, &zero);
}

INLINE u32 this_process(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* Its state, or nothing where nobody watches it. */
INLINE u32 *watched(u32 process)
{
	return bpf_map_lookup_elem(&PROCESSES, &process);
}

INLINE void adopt(u32 process, u32 state)
{
	struct orders *given = orders();
	struct family *all = family();
	if (!given || !all)
		return;
	if (bpf_map_update_elem(&PROCESSES, &process, &state, 0)) {
		__sync_fetch_and_add(&all->unwatched, 1);
		return;
	}
	__sync_fetch_and_add(&all->born, 1);
	if (__sync_fetch_and_add(&all->alive, 1) >= given->limit) {
		all->crowded = 1;
		given->stopping = 1;
	}
}

/* A process that nobody watches asks for it, by a call that looks like any other. */
INLINE void hear(u64 argument, u32 process)
{
	struct orders *given = orders();
	if (given && given->token && argument == given->token)
		adopt(process, WAITING);
}

/* Whether a call of a watched process is to be seen. */
INLINE int begun(u32 *state, s64 nr)
{
	struct orders *given = orders();
	if (given && given->stopping)
		bpf_send_signal(SIGKILL);
	if (*state == WAITING && (nr == NR_execve || nr == NR_execveat))
		*state = WATCHED;
	return *state != WAITING;
}

SEC("raw_tp/sched_process_fork")
int born(u64 *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx[1];
	u32 parent = this_process(), process = 0;
	u32 *state = watched(parent);
	if (!state)
		return 0;
	bpf_probe_read_kernel(&process, sizeof(process), &child->tgid);
	if (process != parent) /* else a thread */
		adopt(process, *state == WAITING ? WAITING : WATCHED);
	return 0;
}

/* Whether no other thread of its process is left when this one exits. */
INLINE int is_last(const struct task_struct *task)
{
	struct signal_struct *threads = 0;
	int left = 0;
	bpf_probe_read_kernel(&threads, sizeof(threads), &task->signal);
	bpf_probe_read_kernel(&left, sizeof(left), &threads->live.counter);
	return !left;
}

SEC("raw_tp/sched_process_exit")
int gone(u64 *ctx)
{
	u32 process = this_process();
	struct family *all = family();
	u32 *state = watched(process);
	if (!state || !all)
		return 0;
	int counted = *state != NAMED;
	if (is_last((struct task_struct *)ctx[0]) &&
	    !bpf_map_delete_elem(&PROCESSES, &process) && counted)
		__sync_fetch_and_add(&all->alive, -1);
	return 0;
}
