// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/process_identity.hpp"

#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

namespace troupe {

namespace {

struct process_status {
  char state = '?';
  std::uint64_t started = 0;
};

std::optional<process_status> read_status(std::int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The name in parentheses may hold anything; the fields after its last parenthesis are: state, then 18 numbers,
  // start.
  const auto end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(end_of_name + 1));
  process_status status;
  fields >> status.state;
  std::string skipped;
  for (int i = 0; i < 18; ++i)
    fields >> skipped;
  fields >> status.started;
  if (!fields) return std::nullopt;
  return status;
}

bool is_dead_state(char state) { return state == 'Z' || state == 'X' || state == 'x'; }

}  // namespace

process_identity this_process() {
  const auto pid = static_cast<std::int64_t>(getpid());
  const auto status = read_status(pid);
  return {.pid = pid, .started = status ? status->started : 0};
}

bool is_alive(const process_identity& process) {
  if (process.started == 0) return true;  // cannot tell: the deadline decides
  const auto status = read_status(process.pid);
  return status && status->started == process.started && !is_dead_state(status->state);
}

std::string describe(const process_identity& process) {
  const auto status = read_status(process.pid);
  if (!is_alive(process)) return fmt::format("process {} has died", process.pid);
  const bool stopped = status && (status->state == 'T' || status->state == 't');
  return fmt::format("process {} is {}", process.pid, stopped ? "stopped" : "running");
}

}  // namespace troupe
