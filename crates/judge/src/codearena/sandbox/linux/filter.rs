//! System calls that no solution of a programming task needs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::super::SandboxError;

/// Refused whatever their arguments: other processes, mounts, namespaces, keys, kernel modules, tracing, and interfaces with
/// a long record of kernel bugs.
const REFUSED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Memory that belongs to no process, so that nothing counts it: System V objects, memory files, descriptors on their way
    // through a socket.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
];

/// The filters, in the order of installation.
pub(super) fn programs() -> Result<&'static [BpfProgram], SandboxError> {
    static BOTH: OnceLock<Result<Vec<BpfProgram>, String>> = OnceLock::new();
    let made = BOTH.get_or_init(|| {
        // The C library falls back to `clone`, whose flags can be read, where `clone3` does not exist.
        let no_clone3 = compile(
            BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
            libc::ENOSYS,
        )?;
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        let flags =
            (libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET)
                as u32;
        let bits = (0..32)
            .map(|bit| 1_u32 << bit)
            .filter(|bit| flags & bit != 0);
        let new_namespace = bits.map(|bit| {
            let bit = u64::from(bit);
            rule(0, SeccompCmpOp::MaskedEq(bit), bit)
        });
        rules.insert(libc::SYS_clone, new_namespace.collect::<Result<_, _>>()?);
        // Only sockets between processes of the sandbox.
        let foreign = rule(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
        rules.insert(libc::SYS_socket, vec![foreign]);
        Ok(vec![no_clone3, compile(rules, libc::EPERM)?])
    });
    match made {
        Ok(programs) => Ok(programs),
        Err(cause) => Err(SandboxError::Setup {
            step: "its system-call filter",
            cause: cause.clone(),
        }),
    }
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, String> {
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| "unknown processor".to_owned())?;
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        arch,
    )
    .and_then(TryInto::try_into)
    .map_err(|error: seccompiler::BackendError| error.to_string())
}
