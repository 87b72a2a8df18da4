//! Ten programs whose profiles are learnt and put to the test: services under a small
//! load of their own, jobs, and our own load.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::Obstacle;
use crate::workload::program_path;

/// A program, as shell scripts that call the same in every run: of each service something is
/// wanted before it is there, so that being refused is always part of it, and then until it
/// answers; its end is waited for. In them `@DIR` is a directory of the program's own,
/// `@PORT` a free port and `@SELF` this program.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownProgram {
    pub name: &'static str,
    /// What must be installed.
    needs: &'static [&'static str],
    /// Run once, before.
    prepare: &'static str,
    /// Whose calls are learnt.
    script: &'static str,
}

pub(super) const PROGRAMS: [KnownProgram; 10] = [
    KnownProgram {
        name: "nginx",
        needs: &["nginx", "ab"],
        prepare: "mkdir @DIR/logs; head -c 20000 /dev/zero > @DIR/file
            echo 'daemon off; pid @DIR/pid; error_log @DIR/logs/error; events {}
            http { access_log @DIR/logs/access; server { listen 127.0.0.1:@PORT; root @DIR; } }' > @DIR/conf
            nginx -t -c @DIR/conf",
        script: "ab -q -n 1 http://127.0.0.1:@PORT/file; nginx -c @DIR/conf & nginx=$!; sleep 0.1
            until ab -q -n 200 -c 2 -k http://127.0.0.1:@PORT/file; do sleep 0.1; done
            kill -QUIT $nginx; sleep 0.2 & wait",
    },
    KnownProgram {
        name: "redis",
        needs: &["redis-server", "redis-benchmark", "redis-cli"],
        prepare: "",
        script: "cd @DIR; redis-cli -p @PORT ping; redis-server --port @PORT --save '' --appendonly no & sleep 0.1
            until redis-cli -p @PORT ping; do sleep 0.1; done
            redis-benchmark -q -p @PORT -n 500 -c 2 -t set,get,lpush; redis-cli -p @PORT shutdown nosave
            sleep 0.2 & wait",
    },
    KnownProgram {
        name: "postgres",
        needs: &["/usr/lib/postgresql", "runuser", "psql"],
        prepare: "chown postgres @DIR; cd @DIR
            runuser -u postgres -- $(ls -d /usr/lib/postgresql/*/bin | tail -1)/initdb -N -A trust -D @DIR/data",
        script: "cd @DIR; bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
            $bin/pg_isready -q -h @DIR -p @PORT
            runuser -u postgres -- $bin/postgres -D @DIR/data -k @DIR -h '' -p @PORT -F & sleep 0.1
            until $bin/pg_isready -q -h @DIR -p @PORT; do sleep 0.1; done
            psql -q -U postgres -h @DIR -p @PORT -c 'create table t as select generate_series(1, 1000) i; select sum(i) from t'
            kill -INT $(head -1 @DIR/data/postmaster.pid); sleep 0.2 & wait",
    },
    KnownProgram {
        name: "make",
        needs: &["make", "cc"],
        prepare: "cd @DIR; for i in 1 2 3 4 5 6 7 8; do echo \"int f$i(int x) { return x + $i; }\" > f$i.c; done
            echo 'int f1(int); int main(void) { return f1(-1); }' > main.c
            printf 'main: main.o $(patsubst %%.c,%%.o,$(wildcard f?.c))\\n\\t$(CC) -o $@ $^\\nclean:\\n\\trm -f *.o main\\n' > Makefile",
        script: "cd @DIR; make -s clean; make -s",
    },
    KnownProgram {
        name: "crun",
        needs: &["crun", "unshare", "ldd"],
        prepare: "cd @DIR; mkdir -p rootfs/proc rootfs/dev rootfs/sys
            for f in /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*'); do mkdir -p rootfs$(dirname $f); cp -L $f rootfs$f; done
            crun spec; sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"\\/bin\\/sleep\", \"0.2\"/' config.json",
        // It does not run where both versions of cgroups are mounted: it is shown one. And
        // it waits in another way for what has ended already.
        script: "cd @DIR; unshare -m sh -ec 'v2=$(findmnt -n -o TARGET -t cgroup2 | head -1)
            test $v2 = /sys/fs/cgroup || mount --rbind $v2 /sys/fs/cgroup
            crun --root @DIR/state --cgroup-manager=disabled run probecost-@PORT'",
    },
    KnownProgram {
        name: "grep",
        needs: &["grep"],
        prepare: "for i in $(seq 2000); do echo line $i; done > @DIR/text",
        script: "grep -rn 'line 1.*9' @DIR",
    },
    KnownProgram {
        name: "awk",
        needs: &["gawk"],
        prepare: "for i in $(seq 2000); do echo line $i; done > @DIR/text",
        script: "gawk '{ n += $2 } END { print n }' @DIR/text",
    },
    KnownProgram {
        name: "python3",
        needs: &["/usr/bin/python3"],
        prepare: "",
        script: "/usr/bin/python3 -c 'import json, subprocess, threading
t = threading.Thread(target=print, args=(json.dumps({}),)); t.start(); t.join()
subprocess.run([\"true\"])'",
    },
    KnownProgram {
        name: "sqlite3",
        needs: &["sqlite3"],
        prepare: "",
        script: "rm -f @DIR/db; sqlite3 @DIR/db 'create table t(i); insert into t values (1), (2); select sum(i) from t;'",
    },
    KnownProgram {
        name: "probecost load",
        needs: &[],
        prepare: "",
        // Few requests, and a time-out that none reaches: one that is given up takes another
        // path. 3: on a busy machine the rate is not reached, which is no matter here.
        script: "@SELF load --rate 20 --connections 2 --seconds 1 --timeout-ms 60000 --out @DIR/load || test $? = 3",
    },
];

impl KnownProgram {
    /// What stands in its way, if anything does.
    pub(super) fn missing(&self) -> Option<String> {
        let missing = self
            .needs
            .iter()
            .find(|need| program_path(need).is_none())?;
        Some(format!("{missing} is not installed"))
    }

    /// Makes what it needs in `directory`.
    pub(super) fn prepare(&self, directory: &Path, port: u16) -> Result<(), Obstacle> {
        let done = Command::new("sh")
            .args(["-ec", &at(self.prepare, directory, port)])
            .stdout(Stdio::null())
            .output();
        let why = match done {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => format!("{}: {}", output.status, last_lines(&output.stderr)),
            Err(error) => format!("sh: {error}"),
        };
        Err(Obstacle::new(
            format!("{} cannot be prepared: {why}", self.name),
            "mend that, and start again",
        ))
    }

    /// The command.
    pub(super) fn command(&self, directory: &Path, port: u16) -> Vec<String> {
        let script = at(self.script, directory, port);
        // What it says is of no interest, and to whom might change what it calls.
        let script = format!("exec >/dev/null 2>&1; {script}");
        vec!["sh".into(), "-c".into(), script]
    }
}

/// Two of them: after the cause many a program says what it therefore did.
fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(2)..].join("; ")
}

fn at(script: &str, directory: &Path, port: u16) -> String {
    let this = std::env::current_exe().unwrap_or_default();
    // It finds what `missing` does.
    let script = format!("PATH=$PATH:/usr/sbin:/sbin\n{script}");
    script
        .replace("@DIR", &directory.to_string_lossy())
        .replace("@PORT", &port.to_string())
        .replace("@SELF", &this.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_prepared_says_why() {
        let program = KnownProgram {
            name: "some",
            needs: &[],
            prepare: "echo first >&2; echo no room >&2; echo >&2; echo giving up >&2; exit 3",
            script: "",
        };
        let why = program.prepare(Path::new("/"), 1).unwrap_err().why;
        let wanted = "some cannot be prepared: exit status: 3: no room; giving up";
        assert_eq!(why, wanted);
    }
}
