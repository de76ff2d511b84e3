// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/process_faults.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

int open_process(pid_t process) { return static_cast<int>(syscall(SYS_pidfd_open, process, 0)); }
bool signal_process(int pidfd, int number) { return syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0; }

/// The parent of a process, 0 when it is gone.
pid_t parent_of(pid_t process) {
  std::ifstream file{"/proc/" + std::to_string(process) + "/stat"};
  std::string line;
  std::getline(file, line);
  auto end = line.rfind(')');
  if (end == std::string::npos) return 0;
  std::istringstream rest{line.substr(end + 1)};
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

/// A descriptor of the process is held while its parent is looked up, so the number cannot pass to another one between.
bool signal_child(std::uint64_t process, int number) {
  auto pid = static_cast<pid_t>(process);
  int pidfd = open_process(pid);
  if (pidfd < 0) return false;
  auto done = parent_of(pid) == getpid() && signal_process(pidfd, number);
  ::close(pidfd);
  return done;
}

/// In a process of its own, after fork: waits, then lets `frozen` go on; ends at once when that has ended.
[[noreturn]] void wake_later(int frozen, int span_ms) {
  if (frozen > 3) {
    dup2(frozen, 3);
    frozen = 3;
  }
  syscall(SYS_close_range, 4U, ~0U, 0);
  pollfd end{frozen, POLLIN, 0};
  if (poll(&end, 1, span_ms) == 0) signal_process(frozen, SIGCONT);
  _exit(0);
}

/// Stops this process. A grandchild, which nobody has to wait for, wakes it: its parent may be gone by then.
void freeze_self(std::chrono::milliseconds span) {
  int self = open_process(getpid());
  if (self < 0) return;
  auto helper = fork();
  if (helper == 0) {
    if (fork() == 0) wake_later(self, static_cast<int>(span.count()));
    _exit(0);
  }
  if (helper > 0) {
    while (waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
    }
    ::kill(getpid(), SIGSTOP);
  }
  ::close(self);
}

std::uint16_t port_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

/// Both ends of a connection; false for what is none.
bool find_ports(int descriptor, std::uint16_t& own, std::uint16_t& peer) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return false;
  peer = port_of(address);
  length = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return false;
  own = port_of(address);
  return own != 0 && peer != 0;
}

std::size_t cut(const std::set<std::uint16_t>& peer_ports, std::uint16_t own_port) {
  std::size_t closed = 0;
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry{"/proc/self/fd", ignored}, end; !ignored && entry != end;
       entry.increment(ignored)) {
    auto name = entry->path().filename().string();
    int descriptor = -1;
    std::from_chars(name.data(), name.data() + name.size(), descriptor);
    std::uint16_t own = 0, peer = 0;
    if (descriptor < 0 || !find_ports(descriptor, own, peer)) continue;
    if (peer_ports.count(peer) == 0 && (own_port == 0 || own != own_port)) continue;
    if (::shutdown(descriptor, SHUT_RDWR) == 0) ++closed;  // its owner sees the end and closes it
  }
  return closed;
}

}  // namespace

fault_actions process_faults() {
  fault_actions actions;
  actions.kill_self = [] { ::kill(getpid(), SIGKILL); };
  actions.crash_self = [] { std::abort(); };
  actions.freeze_self = [](std::chrono::milliseconds span) { freeze_self(span); };
  actions.signal_child = signal_child;
  actions.cut = cut;
  return actions;
}

}  // namespace troupe
