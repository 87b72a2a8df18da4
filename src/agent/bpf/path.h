/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* Records that hold a path, and how one is put together. */
#pragma once
#include "agent.h"

/* Three sizes of record: nearly all paths fit the first. */
enum { SHORT_PATH = 64, MEDIUM_PATH = 448, LONG_PATH = 4096 };

struct medium_path {
	struct header head;
	char path[MEDIUM_PATH];
};
struct long_path {
	struct header head;
	char path[LONG_PATH];
};

/* What a hook that has the file itself emits. */
struct medium_file {
	struct header head;
	struct rule_inode file;
	char path[MEDIUM_PATH];
};
struct long_file {
	struct header head;
	struct rule_inode file;
	char path[LONG_PATH];
};

enum outcome { DONE, TOO_LONG };

/* Whoever emits says how the path is read, when the buffer was too small for it, and
 * which file it names: READ_PATH, TOO_SHORT_FOR and PUT_FILE. */
#define EMIT_STRING(record_type, kind, capacity, last)                                           \
	({                                                                                       \
		enum outcome outcome = DONE;                                                     \
		struct record_type *record = bpf_ringbuf_reserve(&RING, sizeof(*record), 0);     \
		if (!record) {                                                                   \
			count->failed++;                                                         \
		} else {                                                                         \
			fill(&record->head, set, count, kind, identity);                         \
			PUT_FILE(record);                                                        \
			long length = READ_PATH(record->path, capacity);                         \
			if (!last && TOO_SHORT_FOR(length, capacity)) {                          \
				bpf_ringbuf_discard(record, RB_NO_WAKEUP);                       \
				outcome = TOO_LONG;                                              \
			} else {                                                                 \
				if (length < 0)                                                  \
					record->head.flags |= TARGET_UNREADABLE;                 \
				else if (last && length == capacity)                             \
					record->head.flags |= TARGET_CUT;                        \
				record->head.length += length < 0 ? 0 : length;                  \
				bpf_ringbuf_submit(record, wakeup(set));                         \
				count->submitted++;                                              \
			}                                                                        \
		}                                                                                \
		outcome;                                                                         \
	})
