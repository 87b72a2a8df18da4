/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* What the tracer of HTTP shares with user space: its records, its scope, its counters. */
#pragma once
#include "kernel.h"

enum kind {
	IN = 0,
	OUT = 1,
	ENDED = 2,  /* the other end sends no more */
	CLOSED = 3, /* by this process; others may hold the socket, too */
	EXITED = 4, /* this process, and with it whatever it had */
};

/* src/agent/http.rs reads this layout. */
struct head {
	u64 time;   /* ns, CLOCK_MONOTONIC */
	u64 socket; /* its inode; 0 of EXITED */
	u32 pid;
	u32 lost;     /* records for which the ring had no room so far, on all CPUs */
	u32 length;   /* bytes that went through */
	u16 captured; /* how many of them follow */
	u8 kind;
	u8 padding;
};

/* src/agent/http.rs writes this layout. */
struct scope {
	u64 cgroup; /* 0: the watched processes */
	u32 cgroup_level;
	u32 excluded; /* the consumer's thread; where a cgroup is watched, its process */
	u32 wakeup_bytes; /* as in agent.h */
	u32 capture;      /* bytes of a call that are looked at; in whole parts */
};

/* src/agent/http.rs reads this layout. */
struct traffic {
	u64 seen;       /* pieces = submitted + failed */
	u64 submitted;
	u64 failed;     /* the ring was full */
	u64 unreadable; /* submitted without their bytes, which were not in memory */
	u64 uring;      /* calls that move bytes out of our sight */
	u64 unread;     /* calls that we do not follow: recvmmsg, sendmmsg */
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scope);
} SCOPE SEC(".maps");

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct traffic);
} TRAFFIC SEC(".maps");

/* Of all CPUs, since a connection moves between them: a record says how many were lost
 * before it. */
struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} LOST SEC(".maps");

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 1 << 20);
} RING SEC(".maps");

INLINE struct traffic *traffic(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&TRAFFIC, &zero);
}

INLINE struct scope *scope(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&SCOPE, &zero);
}

INLINE u32 *lost(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&LOST, &zero);
}
