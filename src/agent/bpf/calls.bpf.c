/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* Counts the system calls of watched processes by number, and those for which a
 * seccomp filter killed the caller. */
#include "follow.h"

enum { NUMBERS = 512, TS_COMPAT = 2, X32 = 0x40000000, SIGSYS = 31, SYS_SECCOMP = 1 };
#define X86_64 0xc000003e /* AUDIT_ARCH_X86_64 */

/* src/agent/calls.rs reads this layout. */
struct calls {
	u64 made[NUMBERS];
	u64 first[NUMBERS];  /* when, ns, CLOCK_MONOTONIC */
	u64 killed[NUMBERS]; /* calls that a seccomp filter answered with SIGSYS */
	u64 foreign;         /* calls of watched processes by another architecture's table */
	u64 unknown;         /* calls by a number that is in no table */
	u64 others;          /* all else */
	u64 killed_foreign;  /* as killed, by another architecture's table */
	u64 killed_unknown;  /* as killed, by a number that is in no table */
};

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct calls);
} CALLS SEC(".maps");

INLINE struct calls *calls(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&CALLS, &zero);
}

INLINE void count(struct calls *calls, s64 nr, u32 status)
{
	if (status & TS_COMPAT || (nr >= 0 && nr & X32)) {
		__sync_fetch_and_add(&calls->foreign, 1);
	} else if (nr < 0 || nr >= NUMBERS) {
		__sync_fetch_and_add(&calls->unknown, 1);
	} else if (!__sync_fetch_and_add(&calls->made[nr], 1)) {
		calls->first[nr] = bpf_ktime_get_ns();
	}
}

struct sys_enter {
	struct pt_regs *regs;
	s64 nr;
};

SEC("tp_btf/sys_enter")
int calls_tp_btf(struct sys_enter *ctx)
{
	u32 process = this_process();
	struct calls *all = calls();
	u32 *state = watched(process);
	if (!all)
		return 0;
	if (state && begun(state, ctx->nr)) {
		count(all, ctx->nr, bpf_get_current_task_btf()->thread_info.status);
		return 0;
	}
	__sync_fetch_and_add(&all->others, 1);
	if (ctx->nr == NR_getppid && !state)
		hear(ctx->regs->di, process);
	return 0;
}

SEC("raw_tp/sys_enter")
int calls_raw_tp(struct sys_enter *ctx)
{
	u32 process = this_process();
	struct calls *all = calls();
	u32 *state = watched(process);
	if (!all)
		return 0;
	if (state && begun(state, ctx->nr)) {
		u32 status = 0;
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		bpf_probe_read_kernel(&status, sizeof(status), &task->thread_info.status);
		count(all, ctx->nr, status);
		return 0;
	}
	__sync_fetch_and_add(&all->others, 1);
	if (ctx->nr == NR_getppid && !state) {
		u64 argument = 0;
		struct pt_regs *regs = ctx->regs;
		bpf_probe_read_kernel(&argument, sizeof(argument), &regs->di);
		hear(argument, process);
	}
	return 0;
}

/* The head of a siginfo of SIGSYS (uapi). */
struct sigsys {
	int signal, error, code, padding;
	u64 address;
	int nr;
	u32 architecture;
};

SEC("raw_tp/signal_generate")
int killed(u64 *ctx)
{
	struct calls *all = calls();
	u32 process = this_process();
	if ((int)ctx[0] != SIGSYS || !all || !watched(process))
		return 0;
	struct sigsys info;
	if (bpf_probe_read_kernel(&info, sizeof(info), (const void *)ctx[1]))
		return 0;
	if (info.code != SYS_SECCOMP)
		return 0;
	if (info.architecture != X86_64 || (info.nr >= 0 && info.nr & X32))
		__sync_fetch_and_add(&all->killed_foreign, 1);
	else if (info.nr < 0 || info.nr >= NUMBERS)
		__sync_fetch_and_add(&all->killed_unknown, 1);
	else
		__sync_fetch_and_add(&all->killed[info.nr], 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
