/* SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only */
/* The agent: audit only, it never denies. tools/build-bpf compiles it. */
#include "connect.h"
#include "exec.h"
#include "open.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
