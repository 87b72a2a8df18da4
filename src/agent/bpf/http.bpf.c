/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* What watched processes read from and write to sockets, as it leaves the system
 * call: the arguments are still in the registers, the data in the buffers, and the
 * result says how much of them counts. */
#include "follow.h"
#include "http.h"

enum {
	NR_read = 0, NR_write = 1, NR_close = 3, NR_readv = 19, NR_writev = 20,
	NR_sendfile = 40, NR_sendto = 44, NR_recvfrom = 45, NR_sendmsg = 46,
	NR_recvmsg = 47, NR_splice = 275, NR_recvmmsg = 299, NR_sendmmsg = 307,
	NR_io_uring_enter = 426,
};

enum { MSG_PEEK = 2, S_IFMT = 0170000, S_IFSOCK = 0140000 };

/* Where the bytes of a call lie. */
enum place { NOWHERE, BUFFER, VECTOR, MESSAGE, OUT_OF_SIGHT };

struct iovec {
	const void *base;
	u64 length;
};

/* The head of struct msghdr (uapi). */
struct message {
	void *name;
	u64 name_length;
	struct iovec *pieces;
	u64 count;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
} RELOCATED;

struct files_struct {
	struct fdtable *fdt;
} RELOCATED;

/* Parts of structures that kernel.h knows by other parts. */
struct task_struct___files {
	struct files_struct *files;
} RELOCATED;

struct inode___mode {
	u16 i_mode;
} RELOCATED;

/* Is the caller's traffic ours to see? */
INLINE int ours(const struct scope *in, s64 nr)
{
	u64 ids = bpf_get_current_pid_tgid();
	if (in->cgroup)
		return in->excluded != ids >> 32 &&
		       bpf_get_current_ancestor_cgroup_id(in->cgroup_level) == in->cgroup;
	if (in->excluded == (u32)ids)
		return 0;
	u32 *state = watched(ids >> 32);
	return state && begun(state, nr);
}

/* The inode behind a descriptor of the caller's, 0 where it is no socket. */
INLINE u64 socket_of(u64 descriptor)
{
	struct task_struct___files *task = (void *)bpf_get_current_task_btf();
	struct fdtable *table = task->files->fdt;
	struct file *file = 0;
	struct inode *inode = 0;
	u64 number = 0;
	u16 mode = 0;
	u32 index = (u32)descriptor;
	if (index >= table->max_fds)
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), table->fd + index);
	if (!file)
		return 0;
	bpf_probe_read_kernel(&inode, sizeof(inode), &file->f_inode);
	bpf_probe_read_kernel(&mode, sizeof(mode), &((struct inode___mode *)inode)->i_mode);
	if ((mode & S_IFMT) != S_IFSOCK)
		return 0;
	bpf_probe_read_kernel(&number, sizeof(number), &inode->i_ino);
	return number;
}

INLINE u64 wakeup(const struct scope *in)
{
	if (in->wakeup_bytes == 0)
		return RB_NO_WAKEUP;
	if (in->wakeup_bytes == 1)
		return 0;
	return bpf_ringbuf_query(&RING, RB_AVAIL_DATA) >= in->wakeup_bytes ? RB_FORCE_WAKEUP
									   : RB_NO_WAKEUP;
}

/* Bytes of a stream that one call moved, or part of them. */
struct piece {
	u64 socket;
	const char *from; /* 0 where they are nowhere to be read; they count all the same */
	u32 length;
	u32 kind;
	u64 seen; /* bytes of the call that are in records so far */
};

INLINE void describe(struct head *head, const struct piece *piece)
{
	u32 *before = lost();
	head->time = bpf_ktime_get_ns();
	head->socket = piece->socket;
	head->pid = this_process();
	head->lost = before ? *before : 0;
	head->length = piece->length;
	head->captured = 0;
	head->kind = piece->kind;
	head->padding = 0;
}

/* A record with room for so many bytes; false where the ring is full. */
#define EMIT(capacity)                                                                           \
	({                                                                                       \
		struct {                                                                         \
			struct head head;                                                        \
			char bytes[capacity];                                                    \
		} *record = bpf_ringbuf_reserve(&RING, sizeof(*record), 0);                      \
		if (record) {                                                                    \
			u32 wanted = piece->length < capacity ? piece->length : capacity;        \
			describe(&record->head, piece);                                          \
			if (bpf_probe_read_user(record->bytes, wanted, piece->from))             \
				__sync_fetch_and_add(&count->unreadable, 1);                     \
			else                                                                     \
				record->head.captured = wanted;                                  \
			bpf_ringbuf_submit(record, wakeup(in));                                  \
		}                                                                                \
		record != 0;                                                                     \
	})

INLINE int emit_head(const struct scope *in, const struct piece *piece)
{
	struct head *head = bpf_ringbuf_reserve(&RING, sizeof(*head), 0);
	if (head) {
		describe(head, piece);
		bpf_ringbuf_submit(head, wakeup(in));
	}
	return head != 0;
}

/* With the head 256, 1024 and 4096 bytes. */
enum { SMALL = 224, MEDIUM = 992, LARGE = 4064 };

/* Verified once, not at each call. */
__attribute__((noinline)) int emit(struct scope *in, struct traffic *count,
				   const struct piece *piece)
{
	int done;
	if (!in || !count || !piece)
		return 0;
	__sync_fetch_and_add(&count->seen, 1);
	if (!piece->from)
		done = emit_head(in, piece);
	else if (piece->length <= SMALL)
		done = EMIT(SMALL);
	else if (piece->length <= MEDIUM)
		done = EMIT(MEDIUM);
	else
		done = EMIT(LARGE);
	__sync_fetch_and_add(done ? &count->submitted : &count->failed, 1);
	u32 *all = lost();
	if (!done && all)
		__sync_fetch_and_add(all, 1);
	return 0;
}

enum { MOST_PIECES = 64, MOST_PARTS = 16 };

/* A piece by parts of what a record holds; what of the call is beyond `capture`, unseen. */
__attribute__((noinline)) int emit_parts(struct scope *in, struct traffic *count,
					 struct piece *piece)
{
	if (!in || !count || !piece)
		return 0;
	if (!piece->from)
		return emit(in, count, piece);
	u32 left = piece->length;
	for (u32 i = 0; i < MOST_PARTS && left > LARGE && piece->seen < in->capture; i++) {
		piece->length = LARGE;
		emit(in, count, piece);
		piece->from += LARGE;
		piece->seen += LARGE;
		left -= LARGE;
	}
	piece->length = left;
	if (piece->seen >= in->capture)
		piece->from = 0;
	else
		piece->seen += left;
	emit(in, count, piece);
	return 0;
}

/* The pieces of a call that reads or writes several at once, which the caller's `vector`
 * lists; what is beyond the first of them, or `capture`, unseen. */
__attribute__((noinline)) int emit_vector(struct scope *in, struct traffic *count,
					  struct piece *piece, u64 vector, u64 many)
{
	if (!in || !count || !piece)
		return 0;
	u32 left = piece->length;
	for (u32 i = 0; i < MOST_PIECES && i < many && left && piece->seen < in->capture; i++) {
		struct iovec part = {0};
		if (bpf_probe_read_user(&part, sizeof(part), (const struct iovec *)vector + i))
			break;
		u32 length = part.length < left ? part.length : left;
		piece->from = part.base;
		piece->length = length;
		if (length)
			emit_parts(in, count, piece);
		left -= length;
	}
	piece->from = 0;
	piece->length = left;
	if (left)
		emit(in, count, piece);
	return 0;
}

INLINE enum place place_of(s64 nr)
{
	switch (nr) {
	case NR_read:
	case NR_write:
	case NR_recvfrom:
	case NR_sendto:
		return BUFFER;
	case NR_readv:
	case NR_writev:
		return VECTOR;
	case NR_recvmsg:
	case NR_sendmsg:
		return MESSAGE;
	case NR_sendfile:
	case NR_splice:
		return OUT_OF_SIGHT;
	}
	return NOWHERE;
}

INLINE enum kind kind_of(s64 nr)
{
	switch (nr) {
	case NR_read:
	case NR_recvfrom:
	case NR_readv:
	case NR_recvmsg:
		return IN;
	}
	return OUT;
}

INLINE int peeks(s64 nr, const struct pt_regs *regs)
{
	return (nr == NR_recvfrom && regs->r10 & MSG_PEEK) ||
	       (nr == NR_recvmsg && regs->dx & MSG_PEEK);
}

struct sys_exit {
	struct pt_regs *regs;
	s64 result;
};

SEC("tp_btf/sys_exit")
int http_exit(struct sys_exit *ctx)
{
	struct pt_regs *regs = ctx->regs;
	s64 nr = regs->orig_ax;
	enum place place = place_of(nr);
	if (place == NOWHERE || ctx->result < 0)
		return 0;
	struct scope *in = scope();
	struct traffic *count = traffic();
	if (!in || !count || !ours(in, nr) || peeks(nr, regs))
		return 0;
	struct piece piece = {.length = ctx->result, .kind = kind_of(nr)};
	/* The bytes, or the list of where they lie, and how many of either were asked for. */
	u64 from = regs->si, many = regs->dx;
	if (nr == NR_splice) { /* one end is a pipe */
		piece.socket = socket_of(regs->dx);
		piece.kind = piece.socket ? OUT : IN;
		many = regs->r8;
	}
	if (!piece.socket)
		piece.socket = socket_of(regs->di);
	if (!piece.socket)
		return 0;
	if (place == MESSAGE) {
		struct message message = {0};
		bpf_probe_read_user(&message, sizeof(message), (const void *)from);
		from = (u64)message.pieces;
		many = message.count;
	}
	if (!piece.length) {
		if (piece.kind == OUT || !many)
			return 0;
		piece.kind = ENDED;
		emit(in, count, &piece);
	} else if (place == VECTOR || place == MESSAGE) {
		emit_vector(in, count, &piece, from, many);
	} else {
		piece.from = place == BUFFER ? (const char *)from : 0;
		emit_parts(in, count, &piece);
	}
	return 0;
}

struct sys_enter {
	struct pt_regs *regs;
	s64 nr;
};

/* A socket is still there when its close begins. */
SEC("tp_btf/sys_enter")
int http_enter(struct sys_enter *ctx)
{
	s64 nr = ctx->nr;
	switch (nr) {
	case NR_getppid:
		if (!watched(this_process()))
			hear(ctx->regs->di, this_process());
		return 0;
	case NR_close:
	case NR_execve:
	case NR_execveat:
	case NR_io_uring_enter:
	case NR_recvmmsg:
	case NR_sendmmsg:
		break;
	default:
		return 0;
	}
	struct scope *in = scope();
	struct traffic *count = traffic();
	if (!in || !count || !ours(in, nr))
		return 0;
	if (nr == NR_close) {
		struct piece piece = {.socket = socket_of(ctx->regs->di), .kind = CLOSED};
		if (piece.socket)
			emit(in, count, &piece);
	} else if (nr == NR_io_uring_enter) {
		__sync_fetch_and_add(&count->uring, 1);
	} else if (nr != NR_execve && nr != NR_execveat) {
		__sync_fetch_and_add(&count->unread, 1);
	}
	return 0;
}

/* What a process has not closed when it ends is closed without a call. */
SEC("raw_tp/sched_process_exit")
int exited(u64 *ctx)
{
	struct scope *in = scope();
	struct traffic *count = traffic();
	if (!in || !count || !is_last((struct task_struct *)ctx[0]) || !ours(in, 0))
		return 0;
	struct piece piece = {.kind = EXITED};
	emit(in, count, &piece);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
