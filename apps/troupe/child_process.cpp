// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/child_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

constexpr unsigned close_range_cloexec = 1U << 2U;             // CLOSE_RANGE_CLOEXEC
constexpr auto wait_by_descriptor = static_cast<idtype_t>(3);  // P_PIDFD

/// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void become_program(pid_t parent, char* const* arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the parent died before the line above
  auto nothing = ::open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) _exit(127);
  syscall(SYS_close_range, 3U, ~0U, close_range_cloexec);
  execv("/proc/self/exe", arguments);
  _exit(127);
}

/// Waits for a child that is known to end at once.
void reap(pid_t process) {
  ::kill(process, SIGKILL);
  while (waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string to_string(const process_end& end) {
  if (end.by_signal) return fmt::format("killed by signal {} ({})", end.number, strsignal(end.number));
  return fmt::format("exited with code {}", end.number);
}

child_process::child_process(std::vector<std::string> arguments) {
  std::string program = "troupe";
  std::vector<char*> words{program.data()};
  for (auto& argument : arguments)
    words.push_back(argument.data());
  words.push_back(nullptr);
  const auto parent = getpid();
  const auto process = fork();
  if (process < 0) throw std::runtime_error(fmt::format("no process could be made: {}", strerror(errno)));
  if (process == 0) become_program(parent, words.data());
  // The number is still this child's: nobody else collects it.
  handle_ = file_descriptor(static_cast<int>(syscall(SYS_pidfd_open, process, 0U)));
  if (handle_.valid()) return;
  const auto why = errno;
  reap(process);
  throw std::runtime_error(fmt::format("the new process could not be watched: {}", strerror(why)));
}

child_process::~child_process() {
  if (!handle_.valid()) return;
  kill();
  siginfo_t info{};
  while (waitid(wait_by_descriptor, static_cast<id_t>(handle_.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

void child_process::kill() const {
  if (handle_.valid()) syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0U);
}

std::optional<process_end> child_process::collect() {
  siginfo_t info{};
  if (!handle_.valid() || waitid(wait_by_descriptor, static_cast<id_t>(handle_.get()), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0)
    return std::nullopt;
  handle_ = {};
  return process_end{info.si_code != CLD_EXITED, info.si_status};
}

}  // namespace troupe
