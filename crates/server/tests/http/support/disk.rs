//! A shortage of room for files, that comes and goes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own, unmounted when it is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts it over an empty folder, whose owner it keeps; `None` where that is not permitted:
    /// it takes root.
    pub fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        let owner = std::fs::metadata(folder).expect("a folder");
        let options = format!("size={megabytes}m,mode=700,uid={},gid={}", owner.uid(), owner.gid());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .output()
            .expect("mount");
        mounted.status.success().then(|| Self(folder.to_owned()))
    }

    /// Takes all the room but so many bytes.
    pub fn fill(&self, but: u64) {
        let all = std::fs::File::create(self.filler()).expect("a file");
        let mut all = std::io::BufWriter::new(all);
        let error = std::io::copy(&mut std::io::repeat(0), &mut all).expect_err("a full disk");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        let all = all.into_parts().0;
        let length = all.metadata().expect("a length").len();
        all.set_len(length.saturating_sub(but)).expect("room");
    }

    /// Gives it back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("the file that fills the disk");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever has files open there may still be about to end.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Lets a process write no file beyond so many bytes, or lets it write all it likes again.
pub fn limit_files(process: u32, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".into(), |bytes| bytes.to_string());
    let limited = Command::new("prlimit")
        // The soft limit, which can be raised again.
        .args(["--pid", &process.to_string(), &format!("--fsize={limit}:")])
        .status();
    assert!(limited.expect("prlimit").success());
}
