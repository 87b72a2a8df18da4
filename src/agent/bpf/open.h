/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* Opening a file: open, openat, openat2, creat. */
#pragma once
#include "path.h"

enum { NR_open = 2, NR_creat = 85, NR_openat = 257, NR_openat2 = 437 };

struct short_open {
	struct header head;
	u64 words[SHORT_PATH / 8];
};

/* A fixed-size copy costs a third of a string copy, and the path's end is left
 * for the reader to find. It fails where the string ends just before a page
 * that cannot be read; the string copy of the next size settles that. */
INLINE enum outcome emit_short(struct settings *set, struct counters *count, const char *path,
			       enum identity identity)
{
	struct short_open *record = bpf_ringbuf_reserve(&RING, sizeof(*record), 0);
	if (!record) {
		count->failed++;
		return DONE;
	}
	fill(&record->head, set, count, KIND_OPEN, identity);
	if (set->fields & FIELD_TARGET) {
		int ended = 0;
		if (bpf_probe_read_user(record->words, SHORT_PATH, path) == 0) {
#pragma unroll
			for (int i = 0; i < SHORT_PATH / 8; i++)
				if (ends_in(record->words[i])) {
					ended = 1;
					break;
				}
		}
		if (!ended) {
			bpf_ringbuf_discard(record, RB_NO_WAKEUP);
			return TOO_LONG;
		}
		record->head.length = SHORT_PATH;
	}
	bpf_ringbuf_submit(record, wakeup(set));
	count->submitted++;
	return DONE;
}

#define READ_PATH(buffer, capacity) bpf_probe_read_user_str(buffer, capacity, path)
#define TOO_SHORT_FOR(length, capacity) ((length) == (capacity))
#define PUT_FILE(record)

INLINE void emit_user_path(struct settings *set, struct counters *count, const char *path,
			   enum identity identity)
{
	if (emit_short(set, count, path, identity) == DONE)
		return;
	if (EMIT_STRING(medium_path, KIND_OPEN, MEDIUM_PATH, 0) == DONE)
		return;
	EMIT_STRING(long_path, KIND_OPEN, LONG_PATH, 1);
}

#undef READ_PATH
#undef TOO_SHORT_FOR
#undef PUT_FILE

/* FNV-1a over words in place of bytes; src/agent/rule.rs computes the same. */
INLINE int rule_matches(struct rule_path *path)
{
	u64 hash = 0xcbf29ce484222325ULL;
	for (int i = 0; i < RULE_PATH_WORDS; i++) {
		hash = (hash ^ path->words[i]) * 0x100000001b3ULL;
		if (ends_in(path->words[i]))
			break;
	}
	struct rule_path *rule = bpf_map_lookup_elem(&PATH_RULES, &hash);
	if (!rule)
		return 0;
	for (int i = 0; i < RULE_PATH_WORDS; i++) {
		if (rule->words[i] != path->words[i])
			return 0;
		if (ends_in(rule->words[i]))
			break;
	}
	return 1;
}

/* A string copy leaves what stood behind the end in the last word; a rule has
 * zeros there. */
INLINE void clear_behind(struct rule_path *path, long length)
{
	u32 end = length;
	if (end & 7) {
		u32 word = (end >> 3) & (RULE_PATH_WORDS - 1);
		path->words[word] &= (1ULL << ((end & 7) * 8)) - 1;
	}
}

INLINE int user_path_matches(const struct settings *set, const char *user)
{
	if (set->match_all)
		return 1;
	if (!set->path_rules)
		return 0;
	u32 zero = 0;
	struct rule_path *path = bpf_map_lookup_elem(&SCRATCH, &zero);
	if (!path)
		return 0;
	long length = bpf_probe_read_user_str(path, sizeof(*path), user);
	if (length <= 0 || length == sizeof(*path))
		return 0;
	clear_behind(path, length);
	return rule_matches(path);
}

INLINE int open_by_path(const char *path, enum identity identity)
{
	struct settings *set = settings();
	struct counters *count = counters(KIND_OPEN);
	if (!set || !count || !set->on)
		return 0;
	if (!ours(set)) {
		count->foreign++;
		return 0;
	}
	count->seen++;
	if (!user_path_matches(set, path) || !sampled(set, count)) {
		count->filtered++;
		return 0;
	}
	emit_user_path(set, count, path, identity);
	return 0;
}

/* The register that holds the path, 0 where the call is not watched. */
INLINE int path_register(s64 nr)
{
	if (nr == NR_openat || nr == NR_openat2)
		return 2;
	return nr == NR_open || nr == NR_creat;
}

struct sys_enter {
	struct pt_regs *regs;
	s64 nr;
};

SEC("tp_btf/sys_enter")
int open_tp_btf(struct sys_enter *ctx)
{
	int which = path_register(ctx->nr);
	if (!which)
		return 0;
	struct pt_regs *regs = ctx->regs;
	return open_by_path((const char *)(which == 2 ? regs->si : regs->di), FROM_TASK);
}

SEC("raw_tp/sys_enter")
int open_raw_tp(struct sys_enter *ctx)
{
	int which = path_register(ctx->nr);
	if (!which)
		return 0;
	u64 path = 0;
	struct pt_regs *regs = ctx->regs;
	bpf_probe_read_kernel(&path, sizeof(path), which == 2 ? &regs->si : &regs->di);
	return open_by_path((const char *)path, FROM_HELPERS);
}

SEC("tracepoint/syscalls/sys_enter_openat")
int open_tracepoint(struct sys_enter_args *ctx)
{
	return open_by_path((const char *)ctx->args[1], FROM_HELPERS);
}

/* The LSM hook has the file itself: its resolved path and its inode. */
#define READ_PATH(buffer, capacity)                                                              \
	(set->fields & FIELD_TARGET ? bpf_d_path(&file->f_path, buffer, capacity) : 0)
/* d_path says "name too long" where the buffer is too small. */
#define TOO_SHORT_FOR(length, capacity) ((length) == -36)
#define PUT_FILE(record)                                                                         \
	({                                                                                       \
		record->file.inode = file->f_inode->i_ino;                                       \
		record->file.device = file->f_inode->i_sb->s_dev;                                \
		record->head.flags = TARGET_HAS_FILE;                                            \
		record->head.length = sizeof(record->file);                                      \
	})

INLINE int file_matches(const struct settings *set, struct file *file)
{
	if (set->match_all)
		return 1;
	if (set->inode_rules) {
		struct rule_inode key = {
			.inode = file->f_inode->i_ino,
			.device = file->f_inode->i_sb->s_dev,
		};
		if (bpf_map_lookup_elem(&INODE_RULES, &key))
			return 1;
	}
	if (!set->path_rules)
		return 0;
	struct rule_path path;
	long length = bpf_d_path(&file->f_path, (char *)&path, sizeof(path));
	if (length <= 0)
		return 0;
	clear_behind(&path, length);
	return rule_matches(&path);
}

SEC("lsm/file_open")
int open_lsm(u64 *ctx)
{
	struct file *file = (struct file *)ctx[0];
	struct settings *set = settings();
	struct counters *count = counters(KIND_OPEN);
	enum identity identity = FROM_TASK;
	if (!set || !count || !set->on)
		return 0;
	if (!ours(set)) {
		count->foreign++;
		return 0;
	}
	count->seen++;
	if (!file_matches(set, file) || !sampled(set, count)) {
		count->filtered++;
		return 0;
	}
	if (EMIT_STRING(medium_file, KIND_OPEN, MEDIUM_PATH, 0) == TOO_LONG)
		EMIT_STRING(long_file, KIND_OPEN, LONG_PATH, 1);
	return 0;
}
