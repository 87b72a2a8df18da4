//! Programs that can be measured under agents, and how each is set up.

use clap::ValueEnum;
use probecost::arm;
use probecost::host::{self, Obstacle};
use probecost::load::Endpoint;
use probecost::process::Ward;
use probecost::workload::{Awk, Build, Container, Grep, Job, OwnCommand, Service, file_name};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Program {
    Nginx,
    Redis,
    Postgres,
    Build,
    Container,
    Grep,
    Awk,
    #[value(skip)]
    Command,
    #[value(skip)]
    Service,
}

/// What is measured, by how.
pub enum Subject {
    /// Processes in turn, each one observation.
    Job(Box<dyn Job>),
    /// A server under load.
    Service(Service),
}

/// What a program is set up with.
pub struct Inputs<'a> {
    /// The size of the log that grep and awk read, in megabytes.
    pub megabytes: u64,
    /// The command of a server of one's own, and what is asked of it.
    pub service: Option<(&'a str, &'a Endpoint)>,
    /// A command of one's own.
    pub command: &'a [String],
}

/// Containers that are started in one observation.
const CONTAINERS: usize = 10;

impl Program {
    /// Its name in rows; of a command of one's own that of its file.
    pub fn name(self, inputs: &Inputs) -> String {
        let words = match self {
            Self::Nginx => return "nginx".into(),
            Self::Redis => return "redis".into(),
            Self::Postgres => return "postgres".into(),
            Self::Build => return "build".into(),
            Self::Container => return "container".into(),
            Self::Grep => return "grep".into(),
            Self::Awk => return "awk".into(),
            Self::Command => inputs.command.to_vec(),
            Self::Service => {
                let command = inputs.service.map(|(command, _)| command);
                arm::words(command.unwrap_or_default()).unwrap_or_default()
            }
        };
        file_name(words.first().map_or("", String::as_str)).to_owned()
    }

    /// Its share of the time: a service has two regimes, and latencies vary more than
    /// durations.
    pub fn share(self) -> u32 {
        match self {
            Self::Nginx | Self::Redis | Self::Postgres | Self::Service => 3,
            Self::Build | Self::Container | Self::Grep | Self::Awk | Self::Command => 1,
        }
    }

    /// Makes what it needs in a ward.
    ///
    /// # Errors
    /// It is not installed, or cannot be started.
    pub fn set_up(self, ward: &Ward, inputs: &Inputs) -> Result<Subject, Obstacle> {
        let (directory, bytes) = (ward.directory(), inputs.megabytes * 1_000_000);
        let (own, _) = cpus();
        Ok(match self {
            Self::Nginx => Subject::Service(Service::nginx(ward, &own)?),
            Self::Redis => Subject::Service(Service::redis(ward, &own)?),
            Self::Postgres => Subject::Service(Service::postgres(ward, &own)?),
            Self::Service => {
                let (command, url) = inputs
                    .service
                    .ok_or_else(|| Obstacle::new("no --url", "say what is asked of the service"))?;
                let words = arm::words(command)
                    .map_err(|why| Obstacle::new(why, "quote it as a shell would"))?;
                Subject::Service(Service::own(&words, url.clone(), ward, &own)?)
            }
            Self::Build => {
                Subject::Job(Box::new(Build::new(directory, host::allowed_cpus().len())?))
            }
            Self::Container => Subject::Job(Box::new(Container::new(directory, CONTAINERS)?)),
            Self::Grep => Subject::Job(Box::new(Grep::new(directory, bytes)?)),
            Self::Awk => Subject::Job(Box::new(Awk::new(directory, bytes)?)),
            Self::Command => Subject::Job(Box::new(OwnCommand::new(inputs.command.to_vec())?)),
        })
    }
}

/// The CPUs of a service, and that of its load: apart where there are two.
pub fn cpus() -> (Vec<usize>, Option<usize>) {
    let mut allowed = host::allowed_cpus();
    match allowed.len() {
        0 | 1 => (Vec::new(), None),
        _ => {
            let last = allowed.pop();
            (allowed, last)
        }
    }
}
