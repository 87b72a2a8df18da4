/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* What the programs need of the kernel: types, helpers by their stable numbers,
 * and the few structures they read. Offsets of the structures marked
 * preserve_access_index are relocated to the running kernel's when loaded. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define RELOCATED __attribute__((preserve_access_index))

/* Map definitions carry their settings in types that only BTF sees. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum map_type {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PERCPU_ARRAY = 6,
	MAP_RINGBUF = 27,
};

enum ring_flags { RB_NO_WAKEUP = 1, RB_FORCE_WAKEUP = 2 };
enum ring_query { RB_AVAIL_DATA = 0 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value,
				   u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*bpf_get_current_uid_gid)(void) = (void *)15;
static long (*bpf_get_current_comm)(void *buf, u32 size) = (void *)16;
static u64 (*bpf_get_current_task)(void) = (void *)35;
static u64 (*bpf_get_current_cgroup_id)(void) = (void *)80;
static long (*bpf_send_signal)(u32 signal) = (void *)109;
static long (*bpf_probe_read_user)(void *dst, u32 size, const void *src) = (void *)112;
static long (*bpf_probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static long (*bpf_probe_read_user_str)(void *dst, u32 size, const void *src) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *dst, u32 size, const void *src) = (void *)115;
static u64 (*bpf_get_current_ancestor_cgroup_id)(int level) = (void *)123;
static void *(*bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *data, u64 flags) = (void *)133;
static u64 (*bpf_ringbuf_query)(void *ring, u64 what) = (void *)134;
static long (*bpf_d_path)(void *path, char *buf, u32 size) = (void *)147;
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;

/* x86-64; the order of the registers is part of the kernel's ABI. */
struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	u64 orig_ax, ip, cs, flags, sp, ss;
};

enum { NR_execve = 59, NR_getppid = 110, NR_execveat = 322, SIGKILL = 9 };

/* The context of a classic syscalls/sys_enter_* tracepoint. */
struct sys_enter_args {
	u64 common;
	s64 nr;
	u64 args[6];
};

struct kernfs_node {
	u64 id;
} RELOCATED;

struct cgroup {
	struct kernfs_node *kn;
} RELOCATED;

struct css_set {
	struct cgroup *dfl_cgrp;
} RELOCATED;

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
} RELOCATED;

struct thread_info {
	u32 status;
} RELOCATED;

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads */
} RELOCATED;

struct task_struct {
	struct thread_info thread_info;
	int pid, tgid;
	char comm[16];
	struct css_set *cgroups;
	const struct cred *cred;
	struct signal_struct *signal;
} RELOCATED;

struct super_block {
	u32 s_dev;
} RELOCATED;

struct inode {
	u64 i_ino;
	struct super_block *i_sb;
} RELOCATED;

struct path {
	void *mnt, *dentry;
} RELOCATED;

struct file {
	struct path f_path;
	struct inode *f_inode;
} RELOCATED;

/* A program that is about to run. */
struct linux_binprm {
	struct file *file;
	const char *filename; /* as the caller wrote it */
	const char *interp;   /* what runs it; the same but for scripts */
} RELOCATED;

/* The context of a cgroup/connect4 or connect6 program (uapi). */
struct bpf_sock_addr {
	u32 user_family, user_ip4, user_ip6[4], user_port;
	u32 family, type, protocol, msg_src_ip4, msg_src_ip6[4];
};

enum { AF_INET = 2, AF_INET6 = 10 };

struct sockaddr_in4 {
	u16 family, port;
	u32 addr;
};

struct sockaddr_in6 {
	u16 family, port;
	u32 flow;
	u32 addr[4];
};
