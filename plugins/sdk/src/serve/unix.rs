//! Unix sockets: at a path, in place of one that nobody listens at any more.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::input::StartError;

/// Everybody may send, as clients in other containers have other users: only the owner may read.
pub const MODE: u32 = 0o722;

/// Binds a socket at `path` with `bind`, and gives it `mode`. A socket of an agent that is gone is taken away first; what
/// is no socket, or one that somebody listens at, is left alone. `setting` is what the path is called.
pub fn bind_at<T>(
    setting: &str,
    path: &Path,
    mode: u32,
    bind: impl Fn() -> std::io::Result<T>,
) -> Result<T, StartError> {
    let failed =
        |error: std::io::Error| StartError(format!("`{setting}`: can't listen at {}: {error}", path.display()));
    let bound = match bind() {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path).map_err(failed)?;
            bind()
        }
        bound => bound,
    };
    let socket = bound.map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(socket)
}

/// Whether a socket stands at `path` that nobody listens at.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket
        && UnixStream::connect(path).is_err_and(|error| {
            // Of a socket for datagrams that somebody reads the system says that it is of another kind.
            error.kind() == std::io::ErrorKind::ConnectionRefused
        })
}
