// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/process_launcher.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

std::string describe_exit(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exited with code {}", WEXITSTATUS(status));
}

/// SIGKILL comes from outside: an operator, the node itself, the kernel short of memory.
loss_cause cause_of(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? loss_cause::killed : loss_cause::crashed;
}

/// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void become_rank(pid_t parent, char* const* arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the node died before the line above
  execv("/proc/self/exe", arguments);
  _exit(127);
}

}  // namespace

process_launcher::~process_launcher() {
  {
    std::lock_guard lock{mutex_};
    for (auto& child : children_)
      if (!child.reaped) ::kill(child.process, SIGKILL);
  }
  for (auto& child : children_)
    child.watcher.join();
}

void process_launcher::launch(const rank_start& start, const node_actor& node) {
  auto words = arguments_;
  words.insert(words.begin(), "troupe");
  for (auto word :
       {std::string{"--device"}, start.device, std::string{"--incarnation"}, std::to_string(start.incarnation)})
    words.push_back(std::move(word));
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  auto parent = getpid();
  auto process = fork();
  if (process < 0)
    throw std::runtime_error(fmt::format("a process for {} could not be made: {}", start.device, strerror(errno)));
  if (process == 0) become_rank(parent, arguments.data());
  std::lock_guard lock{mutex_};
  auto& child = children_.emplace_back();
  child.start = start;
  child.process = process;
  child.watcher = std::thread([this, &child, node] { watch(child, node); });
}

void process_launcher::watch(child_process& watched, const node_actor& node) {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(watched.process), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  int status = 0;
  {
    std::lock_guard lock{mutex_};  // from here on nobody signals this process id
    waitpid(watched.process, &status, 0);
    watched.reaped = true;
  }
  caf::anon_send(node,
                 rank_exited{watched.start.device, watched.start.incarnation, cause_of(status), describe_exit(status)});
}

void process_launcher::kill(const rank_start& start) {
  std::lock_guard lock{mutex_};
  for (auto& child : children_)
    if (child.start.device == start.device && child.start.incarnation == start.incarnation && !child.reaped)
      ::kill(child.process, SIGKILL);
}

}  // namespace troupe
