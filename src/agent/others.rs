//! Who else is hooked where the agent would be.

use aya::programs::{loaded_links, loaded_programs};
use aya_obj::generated::bpf_prog_type;

/// What other eBPF programs are attached where the agent's would be, each in a
/// few words. Empty where this process may not ask.
pub fn others() -> Vec<String> {
    let programs: Vec<_> = loaded_programs().filter_map(Result::ok).collect();
    loaded_links()
        .filter_map(Result::ok)
        .filter_map(|link| {
            let program = programs.iter().find(|p| p.id() == link.program_id())?;
            let shared = matches!(
                program.program_type(),
                bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT
                    | bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT
                    | bpf_prog_type::BPF_PROG_TYPE_TRACING
                    | bpf_prog_type::BPF_PROG_TYPE_LSM
                    | bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK_ADDR
            );
            let name = program.name_as_str().unwrap_or("without a name");
            shared.then(|| format!("the eBPF program {name} (link {})", link.id()))
        })
        .collect()
}
