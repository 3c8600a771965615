//! Where an export goes: a file that gets its name at the end, or a stream that somebody may read.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::NamedTempFile;

/// A stream that nobody reads from for so long is no longer waited for: the state that is exported must
/// not be kept for it. What comes then goes to a temporary file first.
const PATIENCE: Duration = Duration::from_secs(5);

/// So often it is looked whether the export is to be stopped.
const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// So much can be written to a pipe without waiting once anything can.
const PIECE: usize = 4096;

/// Where an export goes.
pub enum Target {
    File { file: NamedTempFile, path: PathBuf },
    Stream(Stream),
}

/// What somebody reads from at the other end.
pub struct Stream {
    out: File,
    is_file: bool,
    /// What there is no room for.
    spool: Option<File>,
    stop: Arc<AtomicBool>,
}

impl Target {
    /// The file of this path, or stdout where there is none; stopped as soon as the flag is set. Until the
    /// file gets its name it is the `unfinished` one.
    pub fn open(
        path: Option<&Path>,
        stop: Arc<AtomicBool>,
        unfinished: &OnceLock<PathBuf>,
    ) -> io::Result<Self> {
        let Some(path) = path else {
            return Stream::to(File::from(io::stdout().as_fd().try_clone_to_owned()?), stop);
        };
        // What is behind a symbolic link is replaced, and not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Stream::to(File::options().write(true).open(&path)?, stop);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".part")
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        unfinished.get_or_init(|| file.path().to_owned());
        Ok(Self::File { file, path })
    }

    /// A file in which all of it can be put together in whatever order.
    pub fn whole(&mut self) -> io::Result<&mut File> {
        match self {
            Self::File { file, .. } => Ok(file.as_file_mut()),
            Self::Stream(stream) => stream.spool(),
        }
    }

    /// Ends it, whoever has to be waited for: the file gets its name when all of it is on the disk.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::File { file, path } => {
                file.as_file().sync_all()?;
                file.persist(path).map(drop).map_err(|error| error.error)
            }
            Self::Stream(stream) => stream.finish(),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    fn to(out: File, stop: Arc<AtomicBool>) -> io::Result<Target> {
        let is_file = out.metadata()?.is_file();
        Ok(Target::Stream(Self { out, is_file, spool: None, stop }))
    }

    fn spool(&mut self) -> io::Result<&mut File> {
        if self.spool.is_none() {
            self.spool = Some(tempfile::tempfile()?);
        }
        Ok(self.spool.as_mut().expect("just made"))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(spool) = &mut self.spool {
            return spool.write(bytes);
        }
        if self.is_file {
            return self.out.write(bytes);
        }
        match self.has_room(Some(PATIENCE))? {
            true => self.out.write(&bytes[..bytes.len().min(PIECE)]),
            false => self.spool()?.write(bytes),
        }
    }

    /// Waits until there is room for a piece, or nobody reads any more, which the next write tells; false
    /// where there is still none after so long.
    fn has_room(&self, patience: Option<Duration>) -> io::Result<bool> {
        let start = Instant::now();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("stopped"));
            }
            match poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], Some(&SLICE)) {
                Ok(0) if patience.is_some_and(|patience| start.elapsed() >= patience) => {
                    return Ok(false);
                }
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes what is in the temporary file, for however long that takes.
    fn finish(mut self) -> io::Result<()> {
        let Some(mut spool) = self.spool.take() else { return Ok(()) };
        spool.rewind()?;
        if self.is_file {
            return io::copy(&mut spool, &mut self.out).map(drop);
        }
        let mut buffer = [0; PIECE];
        loop {
            let read = io::Read::read(&mut spool, &mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                self.has_room(None)?;
                let written = self.out.write(rest)?;
                rest = &rest[written..];
            }
        }
    }
}
