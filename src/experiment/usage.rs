//! What the agent itself takes: memory of the process and of the kernel.

use std::fs;
use std::io;

use crate::host::resident_memory;
use crate::schema::overhead::Footprint;

/// Of this process.
pub(super) fn footprint_of_this_process() -> io::Result<Footprint> {
    let resident = resident_memory(std::process::id())
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))?;
    let mut maps = 0;
    for file in fs::read_dir("/proc/self/fdinfo")? {
        // The directory's own descriptor is gone by the time it is read.
        if let Ok(info) = fs::read_to_string(file?.path()) {
            maps += map_memory(&info).unwrap_or(0);
        }
    }
    Ok(Footprint { resident, maps })
}

/// The memory of a map, from its fdinfo; none for another kind of descriptor.
fn map_memory(info: &str) -> Option<u64> {
    value(info, "map_type:")?;
    value(info, "memlock:")?.parse().ok()
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| Some(line.strip_prefix(key)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_maps_count_as_maps() {
        let map = "pos:\t0\nmap_type:\t27\nmax_entries:\t4096\nmemlock:\t16384\nmap_id:\t9\n";
        let program = "pos:\t0\nprog_type:\t17\nmemlock:\t4096\nprog_id:\t3\n";
        assert_eq!(map_memory(map), Some(16384));
        assert_eq!(map_memory(program), None);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(footprint_of_this_process().unwrap().resident > 100_000);
    }
}
