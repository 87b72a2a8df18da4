/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* Running a program: execve, execveat. */
#pragma once
#include "open.h"

/* The LSM hook has the file itself, and comes before the program runs: the name is still
 * the caller's. A script's interpreter passes it once more. READ_PATH and the others are
 * those of a file. */
SEC("lsm/bprm_check_security")
int exec_lsm(u64 *ctx)
{
	struct linux_binprm *program = (struct linux_binprm *)ctx[0];
	struct settings *set = settings();
	struct counters *count = counters(KIND_EXEC);
	enum identity identity = FROM_TASK;
	if (!set || !count || !set->on || program->interp != program->filename)
		return 0;
	struct file *file = program->file;
	if (!wanted(set, count))
		return 0;
	if (EMIT_STRING(medium_file, KIND_EXEC, MEDIUM_PATH, 0) == TOO_LONG)
		EMIT_STRING(long_file, KIND_EXEC, LONG_PATH, 1);
	return 0;
}

#undef READ_PATH
#undef TOO_SHORT_FOR
#undef PUT_FILE

/* The tracepoint comes when the program runs, with the path as the caller wrote it. */
#define READ_PATH(buffer, capacity)                                                              \
	(set->fields & FIELD_TARGET ? bpf_probe_read_kernel_str(buffer, capacity, path) : 0)
#define TOO_SHORT_FOR(length, capacity) ((length) == (capacity))
#define PUT_FILE(record)

INLINE int exec_by_path(const char *path, enum identity identity)
{
	struct settings *set = settings();
	struct counters *count = counters(KIND_EXEC);
	if (!set || !count || !set->on || !wanted(set, count))
		return 0;
	if (EMIT_STRING(medium_path, KIND_EXEC, MEDIUM_PATH, 0) == TOO_LONG)
		EMIT_STRING(long_path, KIND_EXEC, LONG_PATH, 1);
	return 0;
}

struct process_exec {
	struct task_struct *task;
	u64 old_pid;
	struct linux_binprm *program;
};

SEC("tp_btf/sched_process_exec")
int exec_tp_btf(struct process_exec *ctx)
{
	return exec_by_path(ctx->program->filename, FROM_TASK);
}

SEC("raw_tp/sched_process_exec")
int exec_raw_tp(struct process_exec *ctx)
{
	const char *path = 0;
	bpf_probe_read_kernel(&path, sizeof(path), &ctx->program->filename);
	return exec_by_path(path, FROM_HELPERS);
}
