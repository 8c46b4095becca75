// The hardening baseline of the kernel, as a table: what KSPP and K3s's CIS guide ask for and a
// node of K3s can bear. These hold from before the first module; a machine config may say
// otherwise, and noded reports what holds. Plain data: server/controllers/system reads it too.
#pragma once

namespace basalt::init {

struct Sysctl {
  const char* path;  // below /proc/sys
  const char* value;
};

inline constexpr Sysctl kBaseline[] = {
    // No addresses, no kernel log, no tracing and no probing for who is not privileged.
    {"kernel/kptr_restrict", "2"},
    {"kernel/dmesg_restrict", "1"},
    {"kernel/perf_event_paranoid", "3"},
    {"kernel/unprivileged_bpf_disabled", "1"},
    {"kernel/yama/ptrace_scope", "1"},
    {"kernel/randomize_va_space", "2"},
    {"kernel/kexec_load_disabled", "1"},
    {"kernel/sysrq", "0"},
    {"net/core/bpf_jit_harden", "2"},
    {"vm/unprivileged_userfaultfd", "0"},
    {"dev/tty/ldisc_autoload", "0"},
    {"dev/tty/legacy_tiocsti", "0"},
    // No core files: a pipe to a program that no image has. A path of a file would be unlinked.
    {"kernel/core_pattern", "|/bin/false"},
    {"kernel/core_uses_pid", "0"},
    {"fs/suid_dumpable", "0"},
    {"fs/protected_hardlinks", "1"},
    {"fs/protected_symlinks", "1"},
    {"fs/protected_fifos", "2"},
    {"fs/protected_regular", "2"},
    // A panic restarts, so that the loader can count it.
    {"kernel/panic", "10"},
    {"kernel/panic_on_oops", "1"},
    // Kubelet's protectKernelDefaults wants exactly these.
    {"vm/overcommit_memory", "1"},
    {"vm/panic_on_oom", "0"},
    {"kernel/keys/root_maxkeys", "1000000"},
    {"kernel/keys/root_maxbytes", "25000000"},
    {"fs/inotify/max_user_instances", "8192"},
    {"fs/inotify/max_user_watches", "524288"},
    {"net/ipv4/tcp_syncookies", "1"},
    {"net/ipv4/tcp_rfc1337", "1"},
    {"net/ipv4/icmp_echo_ignore_broadcasts", "1"},
    {"net/ipv4/conf/all/accept_redirects", "0"},
    {"net/ipv4/conf/default/accept_redirects", "0"},
    {"net/ipv4/conf/all/send_redirects", "0"},
    {"net/ipv4/conf/default/send_redirects", "0"},
    {"net/ipv4/conf/all/accept_source_route", "0"},
    {"net/ipv4/conf/default/accept_source_route", "0"},
    {"net/ipv6/conf/all/accept_redirects", "0"},
    {"net/ipv6/conf/default/accept_redirects", "0"},
    // Addresses by router advertisement also once K3s has made this a router.
    {"net/ipv6/conf/default/accept_ra", "2"},
};

}  // namespace basalt::init
